import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { convolution, convolutionBackwardInput } from '../graph/compounds/convolution.ts'
import { promote } from '../graph/format.ts'
import { createNode, formatSpec, type Node } from '../graph/node.ts'
import { Tensor } from './tensor.ts'
import { type Padding, type PerAxis, paddingOf, perAxis } from './window-options.ts'

export interface ConvolutionOptions {
  /** Distance of neighbouring positions of the filter; 1 by default. */
  readonly stride?: PerAxis
  /** Zeros around the input; 0 by default. */
  readonly padding?: Padding
  /** Distance of neighbouring elements of the filter; 1 by default. */
  readonly dilation?: PerAxis
  /** Groups that channels fall into; as many as input channels make a depthwise convolution. 1 by default. */
  readonly groups?: number
  /** `[output channels]`, added to the result. */
  readonly bias?: Tensor
}

export interface TransposedConvolutionOptions extends Omit<ConvolutionOptions, 'padding'> {
  /** Elements cut off the result, as many as the convolution of which this is the gradient adds; 0 by default. */
  readonly padding?: Exclude<Padding, 'same'>
  /**
   * Elements added to the end of the result. A convolution with stride s gives one extent for s extents of its input; this chooses among
   * them, so it is smaller than the stride. 0 by default.
   */
  readonly outputPadding?: PerAxis
}

function requireAxes(name: string, rank: number, input: Tensor, filter: Tensor): void {
  for (const [tensor, axes] of [
    [input, '[N, C'],
    [filter, '[K, C / groups'],
  ] as const) {
    if (tensor.rank === rank + 2) continue
    const spatial = ['depth', 'height', 'width'].slice(3 - rank).join(', ')
    throw new ShapeError(`${name}: expects ${axes}, ${spatial}], got ${formatSpec(tensor)} with ${tensor.rank} axes.`)
  }
}

function addBias(name: string, result: Node, bias: Tensor | undefined): Tensor {
  if (!bias) return new Tensor(result)
  const channels = result.shape[1]!
  if (bias.rank !== 1 || bias.shape[0] !== channels) {
    throw new ShapeError(
      `${name}: the bias must be [${channels}], one for each output channel, got ${formatSpec(bias)}.`,
    )
  }
  const column = build.reshape(bias.node, [1, channels, ...result.shape.slice(2).map(() => 1)])
  return new Tensor(build.add(result, column))
}

function convolve(name: string, rank: number, input: Tensor, filter: Tensor, options: ConvolutionOptions): Tensor {
  requireAxes(name, rank, input, filter)
  const { stride: strides = 1, dilation: dilations = 1, padding = 0, groups = 1, bias } = options
  const stride = perAxis(name, 'stride', strides, rank)
  const dilation = perAxis(name, 'dilation', dilations, rank)
  const axes = stride.map((step, i) => ({ window: filter.shape[i + 2]!, stride: step, dilation: dilation[i]! }))
  const dtype = promote(input.dtype, filter.dtype)
  const result = createNode(convolution, [build.cast(input.node, dtype), build.cast(filter.node, dtype)], {
    stride,
    dilation,
    groups,
    padding: paddingOf(name, padding, input.shape.slice(2), axes),
  })
  return addBias(name, result, bias)
}

function convolveTransposed(
  name: string,
  rank: number,
  input: Tensor,
  filter: Tensor,
  options: TransposedConvolutionOptions,
): Tensor {
  requireAxes(name, rank, input, filter)
  const { stride: strides = 1, dilation: dilations = 1, padding = 0, groups = 1, bias } = options
  const stride = perAxis(name, 'stride', strides, rank)
  const dilation = perAxis(name, 'dilation', dilations, rank)
  const extra = perAxis(name, 'outputPadding', options.outputPadding ?? 0, rank)
  if (filter.shape[0] !== input.shape[1]) {
    throw new ShapeError(
      `${name}: filter expects ${filter.shape[0]} input channels, input has ${input.shape[1]} (shape [${input.shape.join(', ')}]). ` +
        'Filters of a transposed convolution are [input channels, output channels / groups, ...window].',
    )
  }
  if (extra.some((count, i) => !Number.isInteger(count) || count < 0 || count >= stride[i]!)) {
    throw new ShapeError(
      `${name}: outputPadding [${extra.join(', ')}] must be made of integers from 0 to less than the stride [${stride.join(', ')}].`,
    )
  }
  const sides = paddingOf(
    name,
    padding,
    [],
    stride.map((step, i) => ({ window: filter.shape[i + 2]!, stride: step, dilation: dilation[i]! })),
  )
  const extents = sides.map(([low, high], i) => {
    const reach = dilation[i]! * (filter.shape[i + 2]! - 1) + 1
    return (input.shape[i + 2]! - 1) * stride[i]! + reach - low - high + extra[i]!
  })
  if (extents.some((extent) => extent < 1)) {
    throw new ShapeError(
      `${name}: padding cuts everything off: the result would have spatial extents [${extents.join(', ')}]. Pad less.`,
    )
  }
  const dtype = promote(input.dtype, filter.dtype)
  const operands = [build.cast(input.node, dtype), build.cast(filter.node, dtype)]
  const attributes = { stride, dilation, groups, padding: sides, extents }
  return addBias(name, createNode(convolutionBackwardInput, operands, attributes), bias)
}

/**
 * Convolution over one spatial axis.
 *
 * @param input `[N, C, width]`
 * @param filter `[K, C / groups, window]`
 * @returns `[N, K, positions]`
 * @throws ShapeError when channels or extents do not fit
 */
export function conv1d(input: Tensor, filter: Tensor, options: ConvolutionOptions = {}): Tensor {
  return convolve('conv1d', 1, input, filter, options)
}

/**
 * Convolution of images. As everywhere in deep learning a correlation: filters are not flipped.
 *
 * @param input `[N, C, height, width]`
 * @param filter `[K, C / groups, height, width]`
 * @returns `[N, K, ⌊(height + padding − dilation · (window − 1) − 1) / stride⌋ + 1, …]`
 * @throws ShapeError when channels or extents do not fit
 * @example
 * ```ts
 * const image = ones([1, 3, 8, 8])
 * const filters = ones([16, 3, 3, 3])
 * const y = conv2d(image, filters, { stride: 2, padding: 'same', bias: zeros([16]) })
 * console.log(y.shape) // [1, 16, 4, 4]
 * ```
 */
export function conv2d(input: Tensor, filter: Tensor, options: ConvolutionOptions = {}): Tensor {
  return convolve('conv2d', 2, input, filter, options)
}

/**
 * Convolution of volumes.
 *
 * @param input `[N, C, depth, height, width]`
 * @param filter `[K, C / groups, depth, height, width]`
 * @returns `[N, K, …positions]`
 * @throws ShapeError when channels or extents do not fit
 */
export function conv3d(input: Tensor, filter: Tensor, options: ConvolutionOptions = {}): Tensor {
  return convolve('conv3d', 3, input, filter, options)
}

/**
 * Transposed convolution over one spatial axis: the gradient of `conv1d` to its input.
 *
 * @param input `[N, K, width]`
 * @param filter `[K, C / groups, window]`
 * @returns `[N, C, (width − 1) · stride + dilation · (window − 1) + 1 − padding + outputPadding]`
 */
export function convTranspose1d(input: Tensor, filter: Tensor, options: TransposedConvolutionOptions = {}): Tensor {
  return convolveTransposed('convTranspose1d', 1, input, filter, options)
}

/**
 * Transposed convolution of images: the gradient of `conv2d` to its input, which enlarges images by the stride.
 *
 * @param input `[N, K, height, width]`
 * @param filter `[K, C / groups, height, width]`: input channels first, as PyTorch has them
 * @returns `[N, C, …]`
 * @example
 * ```ts
 * const y = convTranspose2d(ones([1, 8, 5, 5]), ones([8, 4, 4, 4]), { stride: 2, padding: 1 })
 * console.log(y.shape) // [1, 4, 10, 10]
 * ```
 */
export function convTranspose2d(input: Tensor, filter: Tensor, options: TransposedConvolutionOptions = {}): Tensor {
  return convolveTransposed('convTranspose2d', 2, input, filter, options)
}

/**
 * Transposed convolution of volumes: the gradient of `conv3d` to its input.
 *
 * @param input `[N, K, depth, height, width]`
 * @param filter `[K, C / groups, depth, height, width]`
 * @returns `[N, C, …]`
 */
export function convTranspose3d(input: Tensor, filter: Tensor, options: TransposedConvolutionOptions = {}): Tensor {
  return convolveTransposed('convTranspose3d', 3, input, filter, options)
}
