import { type DType, isFloat } from '../../graph/format.ts'
import { rowMajorStrides, type Shape, sizeOf } from '../../graph/shape.ts'
import { decoderOf, rangeOf } from '../../run/reference/numbers.ts'
import { tensor } from '../../tensor/create.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { type Random, toStorage } from '../random.ts'
import type { Choices } from './choices.ts'
import { type HostTensor, indicesOf } from './host.ts'
import type { OperandSpec } from './op-test.ts'

/** Numbers that formulas get wrong first; the last ones are denormal in f32 and in f16. */
export const specialNumbers: readonly number[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  2 ** -9,
  -(2 ** -9),
  80,
  -80,
  3,
  -3,
]
export const denormalNumbers: readonly number[] = [2 ** -130, -(2 ** -140), 2 ** -20, -(2 ** -24)]

/** How an operand lies in memory: as a view of a larger or otherwise ordered tensor. */
export interface Layout {
  readonly name: string
  /** The tensor that holds the elements. */
  readonly base: Shape
  /** Strides and offset of the operand in it. */
  readonly strides: readonly number[]
  readonly offset: number
  readonly view: (base: Tensor) => Tensor
}

export function rowMajor(shape: Shape): Layout {
  return { name: '', base: shape, strides: rowMajorStrides(shape), offset: 0, view: (base) => base }
}

const replaced = (shape: Shape, axis: number, extent: number): Shape =>
  shape.map((old, i) => (i === axis ? extent : old))

/** A layout of any kind that suits the shape; `distinct` ones give each element a place of its own. */
export function anyLayout(choices: Choices, shape: Shape, distinct = false): Layout {
  const plain = rowMajor(shape)
  const kind = choices.integer(0, distinct ? 5 : 6)
  if (kind < 2 || shape.length === 0) return plain
  const axis = choices.integer(0, shape.length - 1)
  if (kind === 2) {
    const order = shape.map((_, i) => (i + axis + 1) % shape.length)
    const base = order.map((i) => shape[i]!)
    const inverse = shape.map((_, i) => order.indexOf(i))
    const strides = rowMajorStrides(base)
    return {
      name: `transposed from ${base.join('×')}`,
      base,
      strides: inverse.map((i) => strides[i]!),
      offset: 0,
      view: (x) => x.transpose(inverse),
    }
  }
  const extent = shape[axis]!
  if (kind === 3) {
    const base = replaced(shape, axis, 2 * extent + 1)
    const strides = rowMajorStrides(base)
    return {
      name: `every second along ${axis}`,
      base,
      strides: strides.map((stride, i) => (i === axis ? 2 * stride : stride)),
      offset: strides[axis]!,
      view: (x) => x.slice(axis, 1, 2 * extent + 1, 2),
    }
  }
  if (kind === 4) {
    return {
      name: `reversed along ${axis}`,
      base: shape,
      strides: plain.strides.map((stride, i) => (i === axis ? -stride : stride)),
      offset: plain.strides[axis]! * Math.max(0, extent - 1),
      view: (x) => x.flip(axis),
    }
  }
  if (kind === 5) {
    const base = replaced(shape, axis, extent + 3)
    const strides = rowMajorStrides(base)
    return {
      name: `cut out along ${axis}`,
      base,
      strides,
      offset: 2 * strides[axis]!,
      view: (x) => x.slice(axis, 2, extent + 2),
    }
  }
  const base = replaced(shape, axis, 1)
  return {
    name: `broadcast along ${axis}`,
    base,
    strides: rowMajorStrides(base).map((stride, i) => (i === axis ? 0 : stride)),
    offset: 0,
    view: (x) => x.expand(shape),
  }
}

/** An operand on both sides: the tensor, and the very numbers that it holds. */
export interface Operand {
  /** What lies in memory; the operand is a view of it. */
  readonly base: Tensor
  readonly layout: Layout
  readonly host: HostTensor
  /** Whether a gradient is asked for. */
  readonly isVariable: boolean
}

export function decoded(stored: ArrayLike<number>, dtype: DType): Float64Array {
  return Float64Array.from(stored, decoderOf(dtype) ?? ((value) => value))
}

export interface DrawOptions {
  readonly layout?: Layout
  /** Numbers that no difference quotient steps over a kink or a tie of, and none that are special. */
  readonly smooth?: boolean
  /** Whether special numbers may be denormal. */
  readonly denormals?: boolean
}

/** Draws the contents of an operand. */
export function drawOperand(spec: OperandSpec, dtype: DType, random: Random, options: DrawOptions = {}): Operand {
  const format = spec.dtype ?? dtype
  const { layout = rowMajor(spec.shape), smooth = false, denormals = true } = options
  const size = sizeOf(layout.base)
  const numbers = isFloat(format) && smooth ? spreadNumbers(spec, size, random) : anyNumbers(spec, format, size, random)
  if (spec.specials && isFloat(format) && !smooth) {
    const specials = denormals ? [...specialNumbers, ...denormalNumbers] : specialNumbers
    for (let i = 0; i < size; i++) if (random.unit() < 0.3) numbers[i] = random.pick(specials)
  }
  // Given values are those of the operand, not of what it is a view of.
  if (spec.values) place(spec.values, spec.shape, layout, numbers)
  const stored = toStorage(format, numbers)
  const all = decoded(stored, format)
  const data = new Float64Array(sizeOf(spec.shape))
  let position = 0
  for (const index of indicesOf(spec.shape)) data[position++] = all[positionOf(index, layout)]!
  return {
    base: tensor(stored, layout.base, format),
    layout,
    host: { shape: spec.shape, data },
    isVariable: spec.dtype === undefined && isFloat(format),
  }
}

const positionOf = (index: readonly number[], { strides, offset }: Layout): number =>
  index.reduce((sum, i, axis) => sum + i * strides[axis]!, offset)

function place(values: readonly number[], shape: Shape, layout: Layout, numbers: number[]): void {
  let position = 0
  for (const index of indicesOf(shape)) {
    const value = values[position++]
    if (value !== undefined) numbers[positionOf(index, layout)] = value
  }
}

function anyNumbers(
  { range: [low, high] = [-2, 2] }: OperandSpec,
  dtype: DType,
  size: number,
  random: Random,
): number[] {
  const { lowest, highest } = rangeOf(dtype)
  const one = isFloat(dtype)
    ? () => random.uniform(low, high)
    : () =>
        random.integer(Math.max(lowest, Math.ceil(low)), Math.min(highest, Math.max(Math.floor(high), Math.ceil(low))))
  return Array.from({ length: size }, one)
}

/** Kinks of the ops that are tested lie at multiples of this. */
const kink = 1 / 8

/** One number from each of `size` equal parts of the range, in any order: no two are close. */
function spreadNumbers({ range: [low, high] = [-2, 2] }: OperandSpec, size: number, random: Random): number[] {
  const order = Array.from({ length: size }, (_, i) => i)
  for (let i = size - 1; i > 0; i--) {
    const j = random.integer(0, i)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  const part = (high - low) / Math.max(1, size)
  return order.map((i) => {
    const value = low + (i + random.uniform(0.25, 0.75)) * part
    const distance = value - kink * Math.round(value / kink)
    const least = Math.min(1e-3, part / 8)
    return Math.abs(distance) < least ? value + Math.sign(distance || 1) * least : value
  })
}
