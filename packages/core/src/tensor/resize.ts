import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { formatSpec, type Node } from '../graph/node.ts'
import { floatFormat } from '../graph/primitives.ts'
import { Tensor } from './tensor.ts'
import { type PerAxis, perAxis } from './window-options.ts'

export interface ResizeOptions {
  /** `'nearest'` (the default) repeats or leaves out elements; `'linear'` blends neighbours along each axis: bilinear on images. */
  readonly mode?: 'nearest' | 'linear'
  /** Linear: the first and last elements stay where they are, instead of the edges of the first and last element. */
  readonly alignCorners?: boolean
}

/**
 * Changes the spatial extents of a tensor by interpolation, as PyTorch's `interpolate` does.
 *
 * @param input `[N, C, ...spatial]`
 * @param size a number, or the new extent of each spatial axis
 * @returns `[N, C, ...size]`
 * @example
 * ```ts
 * const y = resize(tensor([[[0, 4]]]), 4, { mode: 'linear' })
 * console.log(await y.data()) // 0, 1, 3, 4
 * ```
 */
export function resize(input: Tensor, size: PerAxis, options: ResizeOptions = {}): Tensor {
  if (input.rank < 3) throw new ShapeError(`resize: expects [N, C, ...spatial], got ${formatSpec(input)}.`)
  const { mode = 'nearest', alignCorners = false } = options
  const extents = perAxis('resize', 'size', size, input.rank - 2)
  if (!extents.every((extent) => Number.isInteger(extent) && extent >= 1) || input.shape.slice(2).includes(0)) {
    throw new ShapeError(
      `resize: size [${extents.join(', ')}] must be made of integers ≥ 1, and ${formatSpec(input)} must not be empty.`,
    )
  }
  return new Tensor(
    extents.reduce((x, extent, i) => {
      if (x.shape[i + 2] === extent) return x
      return mode === 'nearest' ? nearest(x, i + 2, extent) : linear(x, i + 2, extent, alignCorners)
    }, input.node),
  )
}

function nearest(x: Node, axis: number, size: number): Node {
  const extent = x.shape[axis]!
  if (size % extent === 0) {
    const [before, after] = [x.shape.slice(0, axis + 1), x.shape.slice(axis + 1)]
    const repeated = build.broadcastTo(build.reshape(x, [...before, 1, ...after]), [...before, size / extent, ...after])
    return build.reshape(repeated, [...x.shape.slice(0, axis), size, ...after])
  }
  return build.gather(x, build.binary('divide', build.multiply(build.iota(size), extent), size), axis)
}

/** Positions are fractions of whole numbers, so that they are exact. */
function linear(x: Node, axis: number, size: number, alignCorners: boolean): Node {
  const extent = x.shape[axis]!
  const denominator = alignCorners ? Math.max(size - 1, 1) : 2 * size
  const numerator = alignCorners
    ? build.multiply(build.iota(size), extent - 1)
    : build.binary('maximum', build.add(build.multiply(build.iota(size), 2 * extent), extent - size), 0)
  const first = build.binary('divide', numerator, denominator)
  const second = build.binary('minimum', build.add(first, 1), extent - 1)
  const dtype = floatFormat(x.dtype)
  const fraction = build.divide(build.cast(build.binary('remainder', numerator, denominator), dtype), denominator)
  const weight = build.reshape(
    fraction,
    x.shape.map((_, i) => (i === axis ? size : 1)),
  )
  const [low, high] = [first, second].map((index) => build.gather(x, index, axis)) as [Node, Node]
  return build.add(low, build.multiply(build.subtract(high, low), weight))
}
