import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import * as pooling from '../graph/compounds/pooling.ts'
import { createNode, formatSpec, type Node } from '../graph/node.ts'
import { Tensor } from './tensor.ts'
import { type Padding, type PerAxis, paddingOf, perAxis } from './window-options.ts'

export interface MaxPoolOptions {
  /** Distance of neighbouring windows; by default the window, so that windows stand side by side. */
  readonly stride?: PerAxis
  /** Elements around the input that never are the largest, at most half a window; 0 by default. */
  readonly padding?: Padding
  /** Distance of neighbouring elements of a window; 1 by default. */
  readonly dilation?: PerAxis
  /** Counts a last window that begins inside the input or its low padding but ends outside. */
  readonly ceil?: boolean
}

export interface AveragePoolOptions extends Omit<MaxPoolOptions, 'dilation'> {
  /** Padding counts as zeros (the default); otherwise means are taken over the elements of the input only. */
  readonly countPadding?: boolean
}

function requireAxes(name: string, rank: number, input: Tensor): void {
  if (input.rank === rank + 2) return
  const spatial = ['depth', 'height', 'width'].slice(3 - rank).join(', ')
  throw new ShapeError(`${name}: expects [N, C, ${spatial}], got ${formatSpec(input)} with ${input.rank} axes.`)
}

function geometryOf(name: string, rank: number, input: Tensor, extent: PerAxis, options: MaxPoolOptions) {
  requireAxes(name, rank, input)
  const window = perAxis(name, 'window', extent, rank)
  const stride = perAxis(name, 'stride', options.stride ?? window, rank)
  const dilation = perAxis(name, 'dilation', options.dilation ?? 1, rank)
  const axes = window.map((length, i) => ({ window: length, stride: stride[i]!, dilation: dilation[i]! }))
  const padding = paddingOf(name, options.padding ?? 0, input.shape.slice(2), axes)
  return { window, stride, dilation, padding, ceil: options.ceil ?? false } satisfies pooling.PoolingGeometry
}

function maxPool(name: string, rank: number, input: Tensor, window: PerAxis, options: MaxPoolOptions): Tensor {
  return new Tensor(createNode(pooling.maxPool, [input.node], geometryOf(name, rank, input, window, options)))
}

function averagePool(name: string, rank: number, input: Tensor, window: PerAxis, options: AveragePoolOptions): Tensor {
  const geometry = geometryOf(name, rank, input, window, options)
  const { countPadding = true } = options
  return new Tensor(createNode(pooling.averagePool, [input.node], { ...geometry, countPadding }))
}

/** The window of output `i` of an axis is `[⌊i · extent / positions⌋, ⌈(i + 1) · extent / positions⌉)`. */
function adaptiveWindows(
  extent: number,
  positions: number,
): { readonly start: Node; readonly end: Node; length: number } {
  const index = build.iota(positions)
  const scaled = (x: Node) => build.binary('divide', x, positions)
  const start = scaled(build.multiply(index, extent))
  const end = scaled(build.add(build.multiply(build.add(index, 1), extent), positions - 1))
  let length = 0
  for (let i = 0; i < positions; i++) {
    const first = Math.floor((i * extent) / positions)
    length = Math.max(length, Math.ceil(((i + 1) * extent) / positions) - first)
  }
  return { start, end, length }
}

function adaptive(name: string, rank: number, input: Tensor, size: PerAxis, pool: 'average' | 'max'): Tensor {
  requireAxes(name, rank, input)
  const positions = perAxis(name, 'size', size, rank)
  const extents = input.shape.slice(2)
  if (!positions.every((count) => Number.isInteger(count) && count >= 1) || extents.includes(0)) {
    throw new ShapeError(
      `${name}: size [${positions.join(', ')}] must be made of integers ≥ 1, and ${formatSpec(input)} must not be empty.`,
    )
  }
  if (positions.every((count) => count === 1)) {
    const axes = extents.map((_, i) => i + 2)
    return pool === 'max' ? input.max(axes, { keepDims: true }) : input.mean(axes, { keepDims: true })
  }
  if (extents.every((extent, i) => extent % positions[i]! === 0)) {
    const window = extents.map((extent, i) => extent / positions[i]!)
    return pool === 'max' ? maxPool(name, rank, input, window, {}) : averagePool(name, rank, input, window, {})
  }
  const along = pool === 'max' ? adaptiveMaximum : adaptiveMean
  return new Tensor(positions.reduce((x, count, i) => along(x, i + 2, count), input.node))
}

/** Means as a product with a matrix of 1 / length inside each window and 0 outside. */
function adaptiveMean(x: Node, axis: number, positions: number): Node {
  const extent = x.shape[axis]!
  const { start, end } = adaptiveWindows(extent, positions)
  const at = build.axisIndex([extent, positions], 0)
  const inside = build.binary('and', build.binary('lessEqual', start, at), build.binary('less', at, end))
  const share = build.reciprocal(build.cast(build.binary('subtract', end, start), x.dtype))
  const matrix = build.where(inside, build.broadcastTo(share, [extent, positions]), 0)
  const last = x.shape.length - 1
  const order = x.shape.map((_, i) => (i === axis ? last : i === last ? axis : i))
  const rows = build.permute(x, order)
  const product = build.matmul(build.reshape(rows, [-1, extent]), matrix)
  return build.permute(build.reshape(product, [...rows.shape.slice(0, -1), positions]), order)
}

/** The largest of as many elements as the longest window has; shorter ones meet their last element again. */
function adaptiveMaximum(x: Node, axis: number, positions: number): Node {
  const { start, end, length } = adaptiveWindows(x.shape[axis]!, positions)
  const last = build.binary('subtract', end, 1)
  const element = (tap: number) => build.gather(x, build.binary('minimum', build.add(start, tap), last), axis)
  let best = element(0)
  for (let tap = 1; tap < length; tap++) best = build.binary('maximum', best, element(tap))
  return best
}

/**
 * The largest element of each window of one axis.
 *
 * @param input `[N, C, width]`
 * @returns `[N, C, positions]`
 */
export function maxPool1d(input: Tensor, window: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool('maxPool1d', 1, input, window, options)
}

/**
 * The largest element of each window of an image. Its gradient goes to the first of the largest elements.
 *
 * @param input `[N, C, height, width]`
 * @param window a number, or `[height, width]`
 * @returns `[N, C, …positions]`
 * @throws ShapeError when a window does not fit
 * @example
 * ```ts
 * const y = maxPool2d(tensor([[[[1, 2, 3, 4], [5, 6, 7, 8]]]]), 2)
 * console.log(await y.data()) // 6, 8
 * ```
 */
export function maxPool2d(input: Tensor, window: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool('maxPool2d', 2, input, window, options)
}

/** The largest element of each window of a volume: `[N, C, depth, height, width] → [N, C, …positions]`. */
export function maxPool3d(input: Tensor, window: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool('maxPool3d', 3, input, window, options)
}

/** The mean of each window of one axis: `[N, C, width] → [N, C, positions]`. */
export function averagePool1d(input: Tensor, window: PerAxis, options: AveragePoolOptions = {}): Tensor {
  return averagePool('averagePool1d', 1, input, window, options)
}

/**
 * The mean of each window of an image.
 *
 * @param input `[N, C, height, width]`
 * @param window a number, or `[height, width]`
 * @returns `[N, C, …positions]`
 * @throws ShapeError when a window does not fit
 * @example
 * ```ts
 * const y = averagePool2d(tensor([[[[1, 2, 3, 4], [5, 6, 7, 8]]]]), 2)
 * console.log(await y.data()) // 3.5, 5.5
 * ```
 */
export function averagePool2d(input: Tensor, window: PerAxis, options: AveragePoolOptions = {}): Tensor {
  return averagePool('averagePool2d', 2, input, window, options)
}

/** The mean of each window of a volume: `[N, C, depth, height, width] → [N, C, …positions]`. */
export function averagePool3d(input: Tensor, window: PerAxis, options: AveragePoolOptions = {}): Tensor {
  return averagePool('averagePool3d', 3, input, window, options)
}

/**
 * Means over windows chosen so that `size` of them cover the axis; they differ in length where the extent is no multiple.
 *
 * @param input `[N, C, width]`
 * @returns `[N, C, size]`
 */
export function adaptiveAveragePool1d(input: Tensor, size: PerAxis): Tensor {
  return adaptive('adaptiveAveragePool1d', 1, input, size, 'average')
}

/**
 * Means over windows chosen so that `size` of them cover each axis: `1` gives the mean of each channel.
 *
 * @param input `[N, C, height, width]`
 * @param size a number, or `[height, width]`
 * @returns `[N, C, ...size]`
 * @example
 * ```ts
 * console.log(adaptiveAveragePool2d(ones([1, 8, 13, 9]), [6, 4]).shape) // [1, 8, 6, 4]
 * ```
 */
export function adaptiveAveragePool2d(input: Tensor, size: PerAxis): Tensor {
  return adaptive('adaptiveAveragePool2d', 2, input, size, 'average')
}

/** As `adaptiveAveragePool2d`, for volumes: `[N, C, depth, height, width] → [N, C, ...size]`. */
export function adaptiveAveragePool3d(input: Tensor, size: PerAxis): Tensor {
  return adaptive('adaptiveAveragePool3d', 3, input, size, 'average')
}

/** Largest elements of the windows of `adaptiveAveragePool1d`: `[N, C, width] → [N, C, size]`. */
export function adaptiveMaxPool1d(input: Tensor, size: PerAxis): Tensor {
  return adaptive('adaptiveMaxPool1d', 1, input, size, 'max')
}

/** Largest elements of the windows of `adaptiveAveragePool2d`: `[N, C, height, width] → [N, C, ...size]`. */
export function adaptiveMaxPool2d(input: Tensor, size: PerAxis): Tensor {
  return adaptive('adaptiveMaxPool2d', 2, input, size, 'max')
}

/** As `adaptiveMaxPool2d`, for volumes: `[N, C, depth, height, width] → [N, C, ...size]`. */
export function adaptiveMaxPool3d(input: Tensor, size: PerAxis): Tensor {
  return adaptive('adaptiveMaxPool3d', 3, input, size, 'max')
}
