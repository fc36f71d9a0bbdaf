import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  axisIndex,
  binary,
  broadcastTo,
  cast,
  constant,
  full,
  multiply,
  reciprocal,
  reshape,
  slice,
  where,
} from '../build.ts'
import { isFloat } from '../format.ts'
import { createNode, formatSpec, type Node, type TensorSpec } from '../node.ts'
import { formatShape, type Shape, sameShape, sizeOf } from '../shape.ts'
import { mergeBatch } from './merge-batch.ts'
import { type AxisWindows, padSpatial, reachOf, tapOf, untap, windowCount } from './windows.ts'

/** How the windows of a pooling lie: one entry for each spatial axis. */
export interface PoolingGeometry {
  readonly window: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly padding: readonly (readonly [low: number, high: number])[]
  /** A last window that begins inside the input or its low padding counts even where it ends outside of the padding. */
  readonly ceil: boolean
}

/** Attributes of the ops in this file. Tensors are `[N, C, ...spatial]`. */
export interface PoolingAttributes {
  /** The largest element of each window. */
  maxPool: PoolingGeometry
  /** Inputs the input and the gradient of `maxPool`: the gradient goes to the first of the largest elements of its window. */
  maxPoolBackward: PoolingGeometry
  /** The mean of each window, over its padding as well if `countPadding`. */
  averagePool: PoolingGeometry & { readonly countPadding: boolean }
  /** Input the gradient of `averagePool`; gives that of its input, `[N, C, ...extents]`. */
  averagePoolBackward: PoolingGeometry & { readonly countPadding: boolean; readonly extents: readonly number[] }
}

interface Sizes {
  readonly axes: readonly AxisWindows[]
  readonly extents: readonly number[]
  readonly positions: readonly number[]
  /** How far the last window reaches beyond the padding. */
  readonly overhang: readonly number[]
  /** Extents with padding and overhang. */
  readonly padded: readonly number[]
}

function sizesOf(name: string, input: TensorSpec, geometry: PoolingGeometry): Sizes {
  const { window, stride, dilation, padding, ceil } = geometry
  const extents = input.shape.slice(2)
  const rank = extents.length
  if (!isFloat(input.dtype) || rank < 1) {
    throw new ShapeError(`${name}: takes floats [N, C, ...spatial], got ${formatSpec(input)}.`)
  }
  const complete = [window, stride, dilation, padding].every(({ length }) => length === rank)
  const counts = [...window, ...stride, ...dilation]
  if (!complete || !counts.every((count) => Number.isInteger(count) && count >= 1)) {
    throw new ShapeError(
      `${name}: window [${window.join(', ')}], stride [${stride.join(', ')}] and dilation [${dilation.join(', ')}] must be integers ≥ 1, ` +
        `one for each spatial axis of ${formatShape(input.shape)}.`,
    )
  }
  const axes = window.map(
    (extent, i): AxisWindows => ({
      window: extent,
      stride: stride[i]!,
      dilation: dilation[i]!,
      padding: padding[i]!,
    }),
  )
  axes.forEach((axis) => {
    const [low, high] = axis.padding
    const half = reachOf(axis) / 2
    if (![low, high].every((count) => Number.isInteger(count) && count >= 0 && count <= half)) {
      throw new ShapeError(
        `${name}: padding [${low}, ${high}] must be made of integers from 0 to half of the window's reach, ${half}. Pad the input itself for more.`,
      )
    }
  })
  const positions = axes.map((axis, i) => {
    const whole = windowCount(extents[i]!, axis)
    const [low, high] = axis.padding
    const covers = (whole - 1) * axis.stride + reachOf(axis) >= extents[i]! + low + high
    return ceil && !covers && whole * axis.stride < extents[i]! + low ? whole + 1 : whole
  })
  const short = positions.findIndex((count) => count < 1)
  if (short >= 0) {
    throw new ShapeError(
      `${name}: a window that reaches over ${reachOf(axes[short]!)} elements does not fit spatial axis ${short} of ${formatShape(input.shape)}.`,
    )
  }
  const overhang = axes.map((axis, i) => {
    const end = (positions[i]! - 1) * axis.stride + reachOf(axis)
    return Math.max(0, end - extents[i]! - axis.padding[0] - axis.padding[1])
  })
  const padded = axes.map(({ padding: [low, high] }, i) => extents[i]! + low + high + overhang[i]!)
  return { axes, extents, positions, overhang, padded }
}

const nameOf = (kind: string, { shape }: TensorSpec): string => `${kind}${shape.length - 2}d`

function requireGradient(name: string, gradient: TensorSpec, expected: Shape): void {
  if (sameShape(gradient.shape, expected)) return
  throw new ShapeError(`${name}: the gradient must have shape ${formatShape(expected)}, got ${formatSpec(gradient)}.`)
}

/** Windows with more elements than this are reduced axis by axis, so that the work grows with the sum of their extents. */
const mostElementsAtOnce = 16

/** Combines the elements of each window. `x` holds padding and overhang. */
function foldWindows(x: Node, { axes, positions }: Sizes, combine: (a: Node, b: Node) => Node): Node {
  const taps = (part: Node, axis: number): Node[] =>
    Array.from({ length: axes[axis]!.window }, (_, tap) => tapOf(part, axis + 2, tap, positions[axis]!, axes[axis]!))
  const atOnce = sizeOf(axes.map(({ window }) => window)) <= mostElementsAtOnce
  const parts = axes.reduce<Node[]>(
    (list, _, axis) => {
      const next = list.flatMap((part) => taps(part, axis))
      return atOnce ? next : [next.reduce(combine)]
    },
    [x],
  )
  return parts.reduce(combine)
}

/** The elements at every place of a window, in row-major order of the places. `x` holds padding and overhang. */
function elementsOf(x: Node, { axes, positions }: Sizes): Node[] {
  return axes.reduce<Node[]>(
    (parts, windows, i) =>
      parts.flatMap((part) =>
        Array.from({ length: windows.window }, (_, tap) => tapOf(part, i + 2, tap, positions[i]!, windows)),
      ),
    [x],
  )
}

/** Adds up what each place of a window gets, `[N, C, ...extents]`: the transpose of `elementsOf`, without the padding. */
function spread(at: (place: number) => Node, { axes, padded, extents }: Sizes): Node {
  const places = (axis: number, place: number): Node => {
    if (axis === axes.length) return at(place)
    const { window } = axes[axis]!
    let total: Node | undefined
    for (let tap = 0; tap < window; tap++) {
      const part = untap(places(axis + 1, place * window + tap), axis + 2, tap, padded[axis]!, axes[axis]!)
      total = total ? add(total, part) : part
    }
    return total!
  }
  const sum = places(0, 0)
  return slice(sum, [0, 0, ...axes.map(({ padding }) => padding[0])], [...sum.shape.slice(0, 2), ...extents])
}

/** True where windows stand side by side, so that each element of the input lies in exactly one. */
const tiles = ({ axes, padded, extents, positions }: Sizes): boolean =>
  axes.every(
    ({ window, stride, dilation }, i) =>
      window === stride && dilation === 1 && padded[i] === extents[i] && positions[i]! * window === extents[i],
  )

/** Repeats each element over its window, where windows stand side by side: `[N, C, P, …] → [N, C, P, window, …]`. */
function repeatOverWindows(x: Node, { axes, positions }: Sizes): { repeated: Node; places: Node } {
  const shape = [...x.shape.slice(0, 2), ...positions.flatMap((count, i) => [count, axes[i]!.window])]
  const unit = [...x.shape.slice(0, 2), ...positions.flatMap((count) => [count, 1])]
  const place = axes.reduce<Node>(
    (index, { window }, i) => {
      const own = axisIndex(shape, 3 + 2 * i)
      return add(multiply(index, window), own)
    },
    constant(0, 'i32'),
  )
  return { repeated: broadcastTo(reshape(x, unit), shape), places: place }
}

const lowest = Number.NEGATIVE_INFINITY

export const maxPool: OpDefinition<'maxPool'> = {
  op: 'maxPool',
  shape: ([input], geometry) => {
    const { positions } = sizesOf(nameOf('maxPool', input!), input!, geometry)
    return [{ shape: [...input!.shape.slice(0, 2), ...positions], dtype: input!.dtype }]
  },
  lower: ([input], geometry) => {
    const sizes = sizesOf('maxPool', input!, geometry)
    const padded = padSpatial(input!, sizes.axes, lowest, sizes.overhang)
    return [foldWindows(padded, sizes, (a, b) => binary('maximum', a, b))]
  },
  vjp: ({ inputs: [input], attributes, cotangents: [gradient] }) => [
    createNode(maxPoolBackward, [input!, gradient!], attributes),
  ],
  batch: (context) => mergeBatch(maxPool, context, 1),
}

export const maxPoolBackward: OpDefinition<'maxPoolBackward'> = {
  op: 'maxPoolBackward',
  shape: ([input, gradient], geometry) => {
    const name = nameOf('maxPool', input!)
    const { positions } = sizesOf(name, input!, geometry)
    requireGradient(name, gradient!, [...input!.shape.slice(0, 2), ...positions])
    return [{ shape: input!.shape, dtype: input!.dtype }]
  },
  lower: ([input, gradient], geometry) => {
    const sizes = sizesOf('maxPool', input!, geometry)
    const elements = elementsOf(padSpatial(input!, sizes.axes, lowest, sizes.overhang), sizes)
    let best = elements[0]!
    let winner: Node = full(best.shape, 0, 'i32')
    elements.slice(1).forEach((element, i) => {
      winner = where(binary('less', best, element), i + 1, winner)
      best = binary('maximum', best, element)
    })
    if (tiles(sizes)) {
      const { repeated, places } = repeatOverWindows(gradient!, sizes)
      const { repeated: winners } = repeatOverWindows(winner, sizes)
      return [reshape(where(binary('equal', winners, places), repeated, 0), input!.shape)]
    }
    return [spread((place) => where(binary('equal', winner, place), gradient!, 0), sizes)]
  },
  batch: (context) => mergeBatch(maxPoolBackward, context, 2),
}

/** 1 / the number of elements that the mean of each window counts: a product of one factor for each axis. */
function weights(dtype: TensorSpec['dtype'], { axes, extents, positions }: Sizes, countPadding: boolean): Node {
  return axes.reduce<Node>(
    (product, { window, stride, padding: [low, high] }, i) => {
      const unit = positions.map((_, axis) => (axis === i ? positions[i]! : 1))
      const start = multiply(axisIndex(unit, i), stride)
      const [first, end] = countPadding ? [0, extents[i]! + low + high] : [low, low + extents[i]!]
      const from = binary('maximum', start, first)
      const to = binary('minimum', add(start, window), end)
      const count = binary('subtract', to, from)
      return multiply(product, reciprocal(cast(count, dtype)))
    },
    constant(1, dtype),
  )
}

export const averagePool: OpDefinition<'averagePool'> = {
  op: 'averagePool',
  shape: ([input], geometry) => {
    const { positions } = sizesOf(nameOf('averagePool', input!), input!, geometry)
    return [{ shape: [...input!.shape.slice(0, 2), ...positions], dtype: input!.dtype }]
  },
  lower: ([input], geometry) => {
    const sizes = sizesOf('averagePool', input!, geometry)
    const padded = padSpatial(input!, sizes.axes, 0, sizes.overhang)
    return [multiply(foldWindows(padded, sizes, add), weights(input!.dtype, sizes, geometry.countPadding))]
  },
  vjp: ({ inputs: [input], attributes, cotangents: [gradient] }) => [
    createNode(averagePoolBackward, [gradient!], { ...attributes, extents: input!.shape.slice(2) }),
  ],
  batch: (context) => mergeBatch(averagePool, context, 1),
}

export const averagePoolBackward: OpDefinition<'averagePoolBackward'> = {
  op: 'averagePoolBackward',
  shape: ([gradient], attributes) => {
    const input = { shape: [...gradient!.shape.slice(0, 2), ...attributes.extents], dtype: gradient!.dtype }
    const name = nameOf('averagePool', gradient!)
    const { positions } = sizesOf(name, input, attributes)
    requireGradient(name, gradient!, [...input.shape.slice(0, 2), ...positions])
    return [input]
  },
  lower: ([gradient], attributes) => {
    const input = { shape: [...gradient!.shape.slice(0, 2), ...attributes.extents], dtype: gradient!.dtype }
    const sizes = sizesOf('averagePool', input, attributes)
    const share = multiply(gradient!, weights(gradient!.dtype, sizes, attributes.countPadding))
    if (tiles(sizes)) return [reshape(repeatOverWindows(share, sizes).repeated, input.shape)]
    return [spread(() => share, sizes)]
  },
  vjp: ({ attributes: { extents: _, ...geometry }, cotangents: [cotangent] }) => [
    createNode(averagePool, [cotangent!], geometry),
  ],
  batch: (context) => mergeBatch(averagePoolBackward, context, 1),
}
