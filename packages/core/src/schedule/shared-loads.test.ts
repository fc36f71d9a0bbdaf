import { expect, it } from 'vitest'
import type { FusedBody } from '../graph/operations.ts'
import type { Block, DraftOperand } from './link.ts'
import { shareLoads } from './shared-loads.ts'

const block = (): Block => ({ bytes: 16, role: 'temporary' })
const at = (of: Block, offset = 0): DraftOperand => ({
  block: of,
  dtype: 'i16',
  view: { shape: [4], strides: [1], offset },
})

it('reads a place once, and computes once what two readers make of it', () => {
  const [a, b] = [block(), block()]
  const load = (input: number) => ({ kind: 'load', input, dtype: 'i16' }) as const
  const cast = (argument: number) => ({ kind: 'compute', op: 'cast', arguments: [argument], dtype: 'f32' }) as const
  const add = (...operands: number[]) => ({ kind: 'compute', op: 'add', arguments: operands, dtype: 'f32' }) as const
  const body: FusedBody = {
    domain: [4],
    kind: 'map',
    rowAxes: 0,
    reducedStart: 0,
    reducedEnd: 0,
    instructions: [
      load(0),
      cast(0),
      load(1),
      cast(2),
      load(2),
      cast(4),
      load(3),
      cast(6),
      add(1, 5),
      add(3, 7),
      add(8, 9),
    ],
    stores: [10, 5],
  }
  const shared = shareLoads(body, [at(a), at(b), at(a), at(a, 1)])
  expect(shared.inputs).toEqual([at(a), at(b), at(a, 1)])
  expect(shared.body.instructions).toEqual([
    load(0),
    cast(0),
    load(1),
    cast(2),
    load(2),
    cast(4),
    add(1, 1),
    add(3, 5),
    add(6, 7),
  ])
  expect(shared.body.stores).toEqual([8, 1])
  expect(shareLoads(body, [at(a), at(b), at(block()), at(a, 1)]).body).toBe(body)
})
