import type { DType } from '@tessera/core'
import { formatOf } from '@tessera/core'
import type { NestAxis } from './axes.ts'
import {
  type Access,
  type LoweredBody,
  type PlacedOperand,
  structureOf,
  variesInner,
  variesMiddle,
  variesOuter,
} from './body.ts'
import { generatedFunction } from './generate.ts'
import { commonWords, countAxis, countOf, leastItems, loopAxes, type Part, roundUp } from './parts.ts'
import { emitScatter } from './scatter.ts'

/** Smallest part of a row that is worth an item of its own, in elements. */
const smallestBlock = 64

/** The updates of a scatter. Strides and starts are those of the updates, the indices and the output, in elements. */
export interface ScatterUpdates {
  readonly mode: 'add' | 'set'
  readonly operands: readonly [updates: PlacedOperand, indices: PlacedOperand, output: PlacedOperand]
  /** Elements of the output along the axis that indices count, and from one to the next. */
  readonly extent: number
  readonly stride: number
  readonly starts: readonly number[]
  readonly outer: readonly NestAxis[]
  /** Axes of the indices, in order. */
  readonly sequential: readonly NestAxis[]
  readonly inner: NestAxis
}

/** The function that makes the updates of a scatter. */
export function scatterPart({
  mode,
  operands,
  extent,
  stride,
  starts,
  outer,
  sequential,
  inner,
}: ScatterUpdates): Part {
  const accesses = operands.map(({ dtype, place }, position): Access => {
    const step = inner.strides[position]!
    const bytes = bytesOf(dtype)
    const varies = (axes: readonly NestAxis[]): boolean => axes.some(({ strides }) => strides[position] !== 0)
    return {
      kind: position === 2 ? 'store' : 'load',
      dtype,
      bytes,
      inner: step === 1 ? 'vector' : step === 0 ? 'splat' : 'gather',
      variation: (step ? variesInner : 0) | (varies(sequential) ? variesMiddle : 0) | (varies(outer) ? variesOuter : 0),
      argument: { ...place, byteOffset: starts[position]! * bytes },
      first: 0,
      aliased: false,
    }
  })
  const body: LoweredBody = {
    kind: 'scatter',
    values: [],
    variation: [],
    accesses,
    stores: [],
    constants: [],
    outer,
    middle: sequential,
    inner,
  }
  const blockSize = Math.max(
    smallestBlock,
    roundUp(Math.ceil(inner.extent / Math.ceil(leastItems / countOf(outer))), 16),
  )
  const blocks = Math.ceil(inner.extent / blockSize)
  const words = commonWords(body)
  const axes = loopAxes(words, body, 'outer', outer, variesOuter)
  axes.push(countAxis(words, body, 'block', blocks))
  const updates = loopAxes(words, body, 'update', sequential, variesMiddle)
  words.integer('items', countOf(outer) * blocks)
  words.integer('blockSize', blockSize)
  words.integer('extent', extent)
  words.integer('stride', stride * bytesOf(operands[2].dtype))
  const emitted = generatedFunction(`${mode}|${structureOf(body)}`, body, words, (code, bases) =>
    emitScatter(code, { axes, updates, mode, vectors: 4 }, bases),
  )
  return { function: emitted, body, words }
}

const bytesOf = (dtype: DType): number => formatOf(dtype).bytes
