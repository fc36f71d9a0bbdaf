import { setFlagsFromString } from 'node:v8'
import {
  createRuntime,
  jit,
  type Plugin,
  randomKey,
  randomNormal,
  splitKey,
  type Tensor,
  tensor,
  valueAndGrad,
  where,
} from '@tessera/core'
import fc from 'fast-check'
import { sparseAttention } from '../op.ts'
import type { SparsePattern } from '../patterns/pattern.ts'
import { isVisible } from '../patterns/visible.ts'
import { anyPattern } from './any-pattern.ts'

export type Attend = (query: Tensor, key: Tensor, value: Tensor) => Tensor

export interface Case {
  readonly batch: number
  readonly heads: number
  readonly length: number
  readonly width: number
  readonly values: number
  readonly patterns: readonly SparsePattern[]
}

/** Dense attention with a mask that is made number by number: an oracle of its own. */
export function masked({ heads, length, patterns }: Case): Attend {
  const cells = Uint8Array.from({ length: heads * length * length }, (_, at) => {
    const head = Math.floor(at / length ** 2)
    return isVisible(patterns[head % patterns.length]!, Math.floor(at / length) % length, at % length) ? 1 : 0
  })
  return (query, key, value) => {
    const scores = query.matmul(key.transpose()).divide(Math.sqrt(query.shape.at(-1)!))
    const mask = tensor(cells, [1, heads, length, length]).cast('bool').expand(scores.shape)
    return where(mask, scores, Number.NEGATIVE_INFINITY).softmax().matmul(value)
  }
}

/**
 * The mixed values and the gradients of a weighted sum of them.
 *
 * @param optimised whether only V8's optimising compiler makes code: it alone joins vectors, and by itself it takes over after many runs
 */
export async function results(
  plugins: readonly Plugin[],
  test: Case,
  attend: Attend,
  { optimised = false } = {},
): Promise<Float32Array[]> {
  const runtime = await createRuntime({ use: plugins })
  if (optimised) setFlagsFromString('--no-liftoff')
  const { batch, heads, length, width, values } = test
  const shapes = [width, width, values, values].map((last) => [batch, heads, length, last])
  const parts = splitKey(randomKey(length), 4).map((key, i) => randomNormal(key, shapes[i]!))
  // One program for all results: each for itself would compute most of the others again.
  const all = jit((query: Tensor, key: Tensor, value: Tensor, weights: Tensor) => {
    const { gradients } = valueAndGrad([query, key, value], ([q, k, v]) => attend(q!, k!, v!).multiply(weights).sum())
    return [attend(query, key, value), ...gradients]
  })
  const found: Float32Array[] = []
  for (const result of all(...(parts as [Tensor, Tensor, Tensor, Tensor])))
    found.push(new Float32Array(await result.data()))
  if (optimised) setFlagsFromString('--liftoff')
  await runtime.close()
  return found
}

export const apart = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)

const widths = (unit: number): fc.Arbitrary<number> =>
  fc.integer({ min: 1, max: Math.floor(20 / unit) }).map((count) => unit * count)

/** @param unit widths are multiples of it */
export const anyCase = (longest: number, unit = 1): fc.Arbitrary<Case> =>
  fc
    .record({
      batch: fc.integer({ min: 1, max: 2 }),
      heads: fc.constantFrom(1, 2),
      length: fc.integer({ min: 1, max: longest }),
      width: widths(unit),
      values: widths(unit),
    })
    .chain((sizes) => {
      const patterns = fc.array(anyPattern(sizes.length), { minLength: sizes.heads, maxLength: sizes.heads })
      return fc.tuple(fc.constant(sizes), patterns).map(([rest, list]): Case => ({ ...rest, patterns: list }))
    })

export const attendWith =
  ({ patterns }: Case): Attend =>
  (query, key, value) =>
    sparseAttention(query, key, value, patterns)
