import {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type Padding,
  type PerAxis,
  type Tensor,
  TesseraError,
  zeros,
} from '@tessera/core'
import { type Initializer, uniform } from '../initializers/initializers.ts'
import { type Activation, activate } from './activations.ts'
import { checkExtents } from './check.ts'
import { type Layer, Module } from './module.ts'

interface FilterOptions {
  /** Random key of the first weights. */
  readonly key: Tensor
  readonly stride?: PerAxis
  readonly dilation?: PerAxis
  /** Groups that channels fall into; as many as input channels make a depthwise convolution. */
  readonly groups?: number
  /** Whether a bias is added; true by default. It starts at 0. */
  readonly bias?: boolean
  /** First weights; by default uniform within ±1/√(inputs of one output), as in PyTorch. */
  readonly initializer?: Initializer
  /** Applied to the result; none by default. */
  readonly activation?: Activation
}

export interface ConvolutionLayerOptions extends FilterOptions {
  readonly padding?: Padding
}

export interface TransposedConvolutionLayerOptions extends FilterOptions {
  readonly padding?: Exclude<Padding, 'same'>
  /** Elements added to the end of the result, fewer than the stride. */
  readonly outputPadding?: PerAxis
}

/** What all convolutions share: filters, a bias and an activation. */
abstract class FilterLayer extends Module implements Layer {
  /** `[outputs, inputs / groups, ...window]`; of a transposed convolution `[inputs, outputs / groups, ...window]` */
  weight: Tensor
  /** `[outputs]` */
  bias: Tensor | undefined
  readonly stride: PerAxis
  readonly dilation: PerAxis
  readonly groups: number
  readonly activation: Activation | undefined

  /** @param channels of the weight's first two axes */
  constructor(
    name: string,
    [first, second]: readonly [number, number],
    outputs: number,
    window: readonly number[],
    options: FilterOptions,
  ) {
    super()
    const { key, stride = 1, dilation = 1, groups = 1, bias = true, activation } = options
    checkExtents(name, { window: Math.min(...window) })
    const fanIn = second * window.reduce((product, extent) => product * extent, 1)
    const initializer = options.initializer ?? uniform(-1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn))
    this.weight = initializer(key, [first, second, ...window])
    this.bias = bias ? zeros([outputs]) : undefined
    this.stride = stride
    this.dilation = dilation
    this.groups = groups
    this.activation = activation
  }

  /** @param x `[batch, inputs, ...spatial]` */
  forward(x: Tensor): Tensor {
    const y = this.convolve(x)
    return this.activation ? activate(y, this.activation) : y
  }

  protected abstract convolve(x: Tensor): Tensor
}

/** Channels of each group, which groups must divide. */
function groupChannels(name: string, inputs: number, outputs: number, groups = 1): [number, number] {
  checkExtents(name, { inputs, outputs, groups })
  if (inputs % groups !== 0 || outputs % groups !== 0) {
    throw new TesseraError(
      'MODULE_CONFIGURATION',
      `${name}: ${groups} groups must divide the ${inputs} inputs and the ${outputs} outputs.`,
    )
  }
  return [inputs / groups, outputs / groups]
}

function windowOf(name: string, window: PerAxis, rank: number): number[] {
  const extents = typeof window === 'number' ? new Array<number>(rank).fill(window) : [...window]
  if (extents.length === rank) return extents
  throw new TesseraError(
    'MODULE_CONFIGURATION',
    `${name}: the window [${extents.join(', ')}] must have ${rank} extents.`,
  )
}

const forwardOps = { 1: conv1d, 2: conv2d, 3: conv3d } as const
const transposedOps = { 1: convTranspose1d, 2: convTranspose2d, 3: convTranspose3d } as const

abstract class Convolution extends FilterLayer {
  readonly padding: Padding
  readonly #rank: 1 | 2 | 3

  constructor(rank: 1 | 2 | 3, inputs: number, outputs: number, window: PerAxis, options: ConvolutionLayerOptions) {
    const name = `Conv${rank}d`
    const [groupInputs] = groupChannels(name, inputs, outputs, options.groups)
    super(name, [outputs, groupInputs], outputs, windowOf(name, window, rank), options)
    this.padding = options.padding ?? 0
    this.#rank = rank
  }

  protected override convolve(x: Tensor): Tensor {
    const { stride, dilation, groups, padding, bias } = this
    return forwardOps[this.#rank](x, this.weight, { stride, dilation, groups, padding, ...(bias && { bias }) })
  }
}

abstract class TransposedConvolution extends FilterLayer {
  readonly padding: Exclude<Padding, 'same'>
  readonly outputPadding: PerAxis
  readonly #rank: 1 | 2 | 3

  constructor(
    rank: 1 | 2 | 3,
    inputs: number,
    outputs: number,
    window: PerAxis,
    options: TransposedConvolutionLayerOptions,
  ) {
    const name = `ConvTranspose${rank}d`
    const [, groupOutputs] = groupChannels(name, inputs, outputs, options.groups)
    super(name, [inputs, groupOutputs], outputs, windowOf(name, window, rank), options)
    this.padding = options.padding ?? 0
    this.outputPadding = options.outputPadding ?? 0
    this.#rank = rank
  }

  protected override convolve(x: Tensor): Tensor {
    const { stride, dilation, groups, padding, outputPadding, bias } = this
    const options = { stride, dilation, groups, padding, outputPadding, ...(bias && { bias }) }
    return transposedOps[this.#rank](x, this.weight, options)
  }
}

/** Convolution over one axis: `[batch, inputs, width] → [batch, outputs, positions]`. */
export class Conv1d extends Convolution {
  constructor(inputs: number, outputs: number, window: PerAxis, options: ConvolutionLayerOptions) {
    super(1, inputs, outputs, window, options)
  }
}

/**
 * Convolution of images: `[batch, inputs, height, width] → [batch, outputs, …positions]`.
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { Conv2d } from '@tessera/nn'
 * const layer = new Conv2d(3, 16, 3, { key: randomKey(0), stride: 2, padding: 'same', activation: 'relu' })
 * console.log(layer.forward(ones([1, 3, 32, 32])).shape, layer.parameterCount) // [1, 16, 16, 16] 448
 * ```
 */
export class Conv2d extends Convolution {
  constructor(inputs: number, outputs: number, window: PerAxis, options: ConvolutionLayerOptions) {
    super(2, inputs, outputs, window, options)
  }
}

/** Convolution of volumes: `[batch, inputs, depth, height, width] → [batch, outputs, …positions]`. */
export class Conv3d extends Convolution {
  constructor(inputs: number, outputs: number, window: PerAxis, options: ConvolutionLayerOptions) {
    super(3, inputs, outputs, window, options)
  }
}

/** Transposed convolution over one axis, which makes it longer by the stride. */
export class ConvTranspose1d extends TransposedConvolution {
  constructor(inputs: number, outputs: number, window: PerAxis, options: TransposedConvolutionLayerOptions) {
    super(1, inputs, outputs, window, options)
  }
}

/**
 * Transposed convolution of images, which enlarges them by the stride.
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { ConvTranspose2d } from '@tessera/nn'
 * const layer = new ConvTranspose2d(16, 3, 4, { key: randomKey(0), stride: 2, padding: 1 })
 * console.log(layer.forward(ones([1, 16, 8, 8])).shape) // [1, 3, 16, 16]
 * ```
 */
export class ConvTranspose2d extends TransposedConvolution {
  constructor(inputs: number, outputs: number, window: PerAxis, options: TransposedConvolutionLayerOptions) {
    super(2, inputs, outputs, window, options)
  }
}

/** Transposed convolution of volumes, which enlarges them by the stride. */
export class ConvTranspose3d extends TransposedConvolution {
  constructor(inputs: number, outputs: number, window: PerAxis, options: TransposedConvolutionLayerOptions) {
    super(3, inputs, outputs, window, options)
  }
}
