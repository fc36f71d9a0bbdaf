import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { broadcastTo, matmul, permute, reshape, slice, transposeLast } from '../build.ts'
import { isFloat } from '../format.ts'
import { createNode, formatSpec, type Node, type TensorSpec } from '../node.ts'
import { formatShape, type Shape, sameShape, sizeOf } from '../shape.ts'
import { mergeBatch } from './merge-batch.ts'
import { type AxisWindows, padSpatial, reachOf, sumWindows, windowCount, windowsOf } from './windows.ts'

/** How the filters of a convolution move over its input: one entry for each spatial axis. */
export interface ConvolutionGeometry {
  /** Distance of neighbouring positions of the filter. */
  readonly stride: readonly number[]
  /** Zeros before and after each axis. */
  readonly padding: readonly (readonly [low: number, high: number])[]
  /** Distance of neighbouring elements of the filter. */
  readonly dilation: readonly number[]
  /** Input and output channels fall into this many groups; each output channel sees the input channels of its own group. */
  readonly groups: number
}

/** Attributes of the ops in this file. */
export interface ConvolutionAttributes {
  /**
   * Inputs `input [N, C, ...spatial]` and `filter [K, C / groups, ...window]`; gives `[N, K, ...positions]`. A correlation, as everywhere
   * in deep learning: the filter is not flipped.
   */
  convolution: ConvolutionGeometry
  /**
   * The gradient of `convolution` to its input, which is the transposed convolution. Inputs `gradient [N, K, ...positions]` and
   * `filter [K, C / groups, ...window]`; gives `[N, C, ...extents]`.
   */
  convolutionBackwardInput: ConvolutionGeometry & { readonly extents: readonly number[] }
  /**
   * The gradient of `convolution` to its filter. Inputs `input [N, C, ...spatial]` and `gradient [N, K, ...positions]`; gives
   * `[K, C / groups, ...window]`.
   */
  convolutionBackwardFilter: ConvolutionGeometry & { readonly window: readonly number[] }
}

/** Sizes of a convolution, whichever of its three ops computes with them. */
interface Sizes {
  readonly batch: number
  readonly inputChannels: number
  readonly outputChannels: number
  readonly groups: number
  readonly axes: readonly AxisWindows[]
  /** Spatial extents of the input, with and without its padding. */
  readonly extents: readonly number[]
  readonly padded: readonly number[]
  readonly positions: readonly number[]
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

function axesOf(window: readonly number[], geometry: ConvolutionGeometry): AxisWindows[] {
  return window.map((extent, i) => ({
    window: extent,
    stride: geometry.stride[i]!,
    dilation: geometry.dilation[i]!,
    padding: geometry.padding[i]!,
  }))
}

/** Checks that an input and a filter fit, and gives the sizes of the convolution. Errors name the op as users know it. */
function sizesOf(name: string, input: TensorSpec, filter: TensorSpec, geometry: ConvolutionGeometry): Sizes {
  const rank = input.shape.length - 2
  if (rank < 1 || filter.shape.length !== input.shape.length || input.dtype !== filter.dtype || !isFloat(input.dtype)) {
    throw new ShapeError(
      `${name}: takes input [N, C, ...spatial] and filter [K, C / groups, ...window] of one float format and as many axes, got ` +
        `${formatSpec(input)} and ${formatSpec(filter)}.`,
    )
  }
  const { stride, padding, dilation, groups } = geometry
  const counts = [...stride, ...dilation, groups]
  const complete = [stride, padding, dilation].every(({ length }) => length === rank)
  if (!complete || !counts.every((count) => Number.isInteger(count) && count >= 1)) {
    throw new ShapeError(
      `${name}: stride [${stride.join(', ')}], dilation [${dilation.join(', ')}] and groups ${groups} must be integers ≥ 1, ` +
        `one stride, dilation and padding for each of ${rank} spatial axes.`,
    )
  }
  if (!padding.flat().every((count) => Number.isInteger(count) && count >= 0)) {
    throw new ShapeError(`${name}: padding [${padding.join('], [')}] must be made of integers ≥ 0.`)
  }
  const [batch, inputChannels] = input.shape as [number, number]
  const [outputChannels, expected] = filter.shape as [number, number]
  if (expected * groups !== inputChannels) {
    throw new ShapeError(
      `${name}: filter expects ${expected * groups} input channels${groups > 1 ? ` (${groups} groups of ${expected})` : ''}, input has ` +
        `${inputChannels} (shape ${formatShape(input.shape)}).`,
    )
  }
  if (outputChannels % groups !== 0) {
    throw new ShapeError(
      `${name}: ${outputChannels} output channels do not divide into ${groups} groups (filter ${formatShape(filter.shape)}).`,
    )
  }
  const extents = input.shape.slice(2)
  const axes = axesOf(filter.shape.slice(2), geometry)
  const positions = axes.map((axis, i) => windowCount(extents[i]!, axis))
  const short = axes.findIndex((axis, i) => axis.window < 1 || positions[i]! < 1)
  if (short >= 0) {
    throw new ShapeError(
      `${name}: a filter that reaches over ${reachOf(axes[short]!)} elements does not fit spatial axis ${short} of ${formatShape(input.shape)} ` +
        `with padding [${axes[short]!.padding.join(', ')}]. Pad more, or use a smaller filter.`,
    )
  }
  const padded = extents.map((extent, i) => extent + sum(axes[i]!.padding))
  return { batch, inputChannels, outputChannels, groups, axes, extents, padded, positions }
}

const nameOf = ({ shape }: TensorSpec): string =>
  shape.length >= 3 && shape.length <= 5 ? `conv${shape.length - 2}d` : 'convolution'

/** Filters as matrices: `[K, C / groups, ...window] → [N, groups, K / groups, C / groups · window]`. */
function filterMatrices(filter: Node, { batch, groups, outputChannels, inputChannels, axes }: Sizes): Node {
  const depth = (inputChannels / groups) * sizeOf(axes.map(({ window }) => window))
  return broadcastTo(reshape(filter, [1, groups, outputChannels / groups, depth]), [
    batch,
    groups,
    outputChannels / groups,
    depth,
  ])
}

/** Defined as products of the filters with the windows of the input, which are written out (im2col). */
export const convolution: OpDefinition<'convolution'> = {
  op: 'convolution',
  shape: ([input, filter], geometry) => {
    const { batch, outputChannels, positions } = sizesOf(nameOf(input!), input!, filter!, geometry)
    return [{ shape: [batch, outputChannels, ...positions], dtype: input!.dtype }]
  },
  lower: ([input, filter], geometry) => {
    const sizes = sizesOf('convolution', input!, filter!, geometry)
    const { batch, groups, axes, positions, outputChannels } = sizes
    const filters = filterMatrices(filter!, sizes)
    const windows = windowsOf(padSpatial(input!, axes), 2, positions, axes)
    const columns = reshape(windows, [batch, groups, filters.shape[3]!, sizeOf(positions)])
    return [reshape(matmul(filters, columns), [batch, outputChannels, ...positions])]
  },
  vjp: ({ inputs: [input, filter], attributes, cotangents: [gradient], needs }) => [
    needs[0] ? backwardInput(gradient!, filter!, attributes, input!.shape) : undefined,
    needs[1] ? backwardFilter(input!, gradient!, attributes, filter!.shape) : undefined,
  ],
  batch: (context) => mergeBatch(convolution, context, 1),
}

const backwardInput = (gradient: Node, filter: Node, attributes: ConvolutionGeometry, shape: Shape): Node =>
  createNode(convolutionBackwardInput, [gradient, filter], { ...geometryOf(attributes), extents: shape.slice(2) })

const backwardFilter = (input: Node, gradient: Node, attributes: ConvolutionGeometry, shape: Shape): Node =>
  createNode(convolutionBackwardFilter, [input, gradient], { ...geometryOf(attributes), window: shape.slice(2) })

const geometryOf = ({ stride, padding, dilation, groups }: ConvolutionGeometry): ConvolutionGeometry => ({
  stride,
  padding,
  dilation,
  groups,
})

/** The sizes of the convolution whose gradient to its input this is. */
function backwardInputSizes(
  gradient: TensorSpec,
  filter: TensorSpec,
  attributes: ConvolutionAttributes['convolutionBackwardInput'],
): Sizes {
  const { extents, groups } = attributes
  const channels = (filter.shape[1] ?? 0) * groups
  const input = { shape: [gradient.shape[0] ?? 0, channels, ...extents], dtype: gradient.dtype }
  const name = `${nameOf(gradient)}, transposed`
  const sizes = sizesOf(name, input, filter, attributes)
  requireGradient(name, gradient, sizes)
  return sizes
}

function requireGradient(name: string, gradient: TensorSpec, { batch, outputChannels, positions }: Sizes): void {
  const expected = [batch, outputChannels, ...positions]
  if (sameShape(gradient.shape, expected)) return
  throw new ShapeError(
    `${name}: expects ${formatShape(expected)} for ${outputChannels} filters at ${positions.join(' × ')} positions, got ${formatSpec(gradient)}.`,
  )
}

/** Defined as products with the transposed filters, whose results are added up where the windows lie (col2im). */
export const convolutionBackwardInput: OpDefinition<'convolutionBackwardInput'> = {
  op: 'convolutionBackwardInput',
  shape: ([gradient, filter], attributes) => {
    const { batch, inputChannels, extents } = backwardInputSizes(gradient!, filter!, attributes)
    return [{ shape: [batch, inputChannels, ...extents], dtype: gradient!.dtype }]
  },
  lower: ([gradient, filter], attributes) => {
    const sizes = backwardInputSizes(gradient!, filter!, attributes)
    const { batch, groups, inputChannels, outputChannels, axes, positions, padded, extents } = sizes
    const errors = reshape(gradient!, [batch, groups, outputChannels / groups, sizeOf(positions)])
    const columns = matmul(transposeLast(filterMatrices(filter!, sizes)), errors)
    const windows = reshape(columns, [batch, inputChannels, ...axes.map(({ window }) => window), ...positions])
    const inside = [0, 0, ...axes.map(({ padding }) => padding[0])]
    return [slice(sumWindows(windows, 2, padded, axes), inside, [batch, inputChannels, ...extents])]
  },
  vjp: ({ inputs: [gradient, filter], attributes, cotangents: [cotangent], needs }) => [
    needs[0] ? createNode(convolution, [cotangent!, filter!], geometryOf(attributes)) : undefined,
    needs[1] ? backwardFilter(cotangent!, gradient!, attributes, filter!.shape) : undefined,
  ],
  batch: (context) => mergeBatch(convolutionBackwardInput, context, 1),
}

function backwardFilterSizes(
  input: TensorSpec,
  gradient: TensorSpec,
  attributes: ConvolutionAttributes['convolutionBackwardFilter'],
): Sizes {
  const { window, groups } = attributes
  const shape = [gradient.shape[1] ?? 0, (input.shape[1] ?? 0) / groups, ...window]
  const sizes = sizesOf(`${nameOf(input)}, gradient of the filter`, input, { shape, dtype: gradient.dtype }, attributes)
  requireGradient(`${nameOf(input)}, gradient of the filter`, gradient, sizes)
  return sizes
}

/** Defined as products of the gradient with the windows of the input over all images and positions at once. */
export const convolutionBackwardFilter: OpDefinition<'convolutionBackwardFilter'> = {
  op: 'convolutionBackwardFilter',
  shape: ([input, gradient], attributes) => {
    const { outputChannels, inputChannels, groups } = backwardFilterSizes(input!, gradient!, attributes)
    return [{ shape: [outputChannels, inputChannels / groups, ...attributes.window], dtype: input!.dtype }]
  },
  lower: ([input, gradient], attributes) => {
    const { batch, groups, inputChannels, outputChannels, axes, positions } = backwardFilterSizes(
      input!,
      gradient!,
      attributes,
    )
    const channelsFirst = (x: Node) => permute(x, [1, 0, ...axes.map((_, i) => i + 2)])
    const windows = windowsOf(channelsFirst(padSpatial(input!, axes)), 1, positions, axes)
    const length = batch * sizeOf(positions)
    const depth = (inputChannels / groups) * sizeOf(attributes.window)
    const columns = reshape(windows, [groups, depth, length])
    const errors = reshape(channelsFirst(gradient!), [groups, outputChannels / groups, length])
    const product = matmul(errors, transposeLast(columns))
    return [reshape(product, [outputChannels, inputChannels / groups, ...attributes.window])]
  },
  vjp: ({ inputs: [input, gradient], attributes, cotangents: [cotangent], needs }) => [
    needs[0] ? backwardInput(gradient!, cotangent!, attributes, input!.shape) : undefined,
    needs[1] ? createNode(convolution, [input!, cotangent!], geometryOf(attributes)) : undefined,
  ],
}
