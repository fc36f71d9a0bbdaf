import { layerNorm, ones, type Tensor, TesseraError, zeros } from '@tessera/core'
import { checkExtents } from './check.ts'
import { type Layer, Module } from './module.ts'

export interface ChannelNormOptions {
  /** Whether channels are scaled and shifted by learned numbers, 1 and 0 at first. */
  readonly affine?: boolean
  /** Added to the variance; 1e-5 by default. */
  readonly epsilon?: number
}

/** What norms over `[batch, channels, ...spatial]` share. */
abstract class ChannelNorm extends Module implements Layer {
  readonly channels: number
  readonly epsilon: number
  /** `[channels]` */
  gain: Tensor | undefined
  /** `[channels]` */
  bias: Tensor | undefined

  constructor(name: string, channels: number, affine: boolean, epsilon: number) {
    super()
    checkExtents(name, { channels })
    this.channels = channels
    this.epsilon = epsilon
    this.gain = affine ? ones([channels]) : undefined
    this.bias = affine ? zeros([channels]) : undefined
  }

  /** @param x `[batch, channels, ...spatial]` */
  abstract forward(x: Tensor): Tensor

  protected checkInput(x: Tensor): void {
    if (x.rank >= 2 && x.shape[1] === this.channels) return
    throw new TesseraError(
      'MODULE_INPUT',
      `${this.constructor.name}: takes [batch, ${this.channels} channels, ...spatial], got ${x}.`,
    )
  }

  protected scaled(x: Tensor): Tensor {
    if (!this.gain || !this.bias) return x
    return x.multiply(perChannel(this.gain, x)).add(perChannel(this.bias, x))
  }
}

/** `[channels]` along axis 1 of another tensor. */
function perChannel(vector: Tensor, { rank }: Tensor): Tensor {
  return vector.reshape([-1, ...new Array<number>(rank - 2).fill(1)])
}

export interface BatchNormOptions extends ChannelNormOptions {
  /** Part of the running statistics that each batch replaces; 0.1 by default. */
  readonly momentum?: number
}

/**
 * Standardises each channel over the batch and space, then scales and shifts it (Ioffe & Szegedy 2015, algorithm 1).
 *
 * While training, statistics are those of the batch, and the running ones follow: state of the module, which `jit` threads
 * from step to step and checkpoints contain. In `eval()` mode the running ones are used. As in PyTorch the running variance is
 * the unbiased one.
 *
 * @example
 * ```ts
 * import { ones } from '@tessera/core'
 * import { BatchNorm } from '@tessera/nn'
 * const norm = new BatchNorm(3)
 * console.log(norm.forward(ones([2, 3, 4, 4])).shape, await norm.runningMean.data()) // [2, 3, 4, 4] [0.1, 0.1, 0.1]
 * ```
 */
export class BatchNorm extends ChannelNorm {
  readonly momentum: number
  /** `[channels]` */
  runningMean: Tensor
  /** `[channels]` */
  runningVariance: Tensor

  constructor(channels: number, { affine = true, epsilon = 1e-5, momentum = 0.1 }: BatchNormOptions = {}) {
    super('BatchNorm', channels, affine, epsilon)
    if (!(momentum > 0 && momentum <= 1)) {
      throw new TesseraError(
        'MODULE_CONFIGURATION',
        `BatchNorm: momentum must be above 0 and at most 1, got ${momentum}.`,
      )
    }
    this.momentum = momentum
    this.runningMean = zeros([channels])
    this.runningVariance = ones([channels])
  }

  override bufferNames(): readonly string[] {
    return ['runningMean', 'runningVariance']
  }

  override forward(x: Tensor): Tensor {
    this.checkInput(x)
    if (!this.training) {
      const factor = this.runningVariance.add(this.epsilon).sqrt().reciprocal()
      return this.scaled(x.subtract(perChannel(this.runningMean, x)).multiply(perChannel(factor, x)))
    }
    const mean = channelMean(x)
    const centered = x.subtract(perChannel(mean, x))
    const variance = channelMean(centered.square())
    const count = x.size / this.channels
    this.runningMean = this.#follow(this.runningMean, mean)
    this.runningVariance = this.#follow(this.runningVariance, variance.multiply(count / Math.max(count - 1, 1)))
    return this.scaled(centered.multiply(perChannel(variance.add(this.epsilon).sqrt().reciprocal(), x)))
  }

  #follow(running: Tensor, current: Tensor): Tensor {
    return running.add(current.stopGradient().cast(running.dtype).subtract(running).multiply(this.momentum))
  }
}

/** Means over all axes but the second: of space first, whose elements lie side by side. */
function channelMean(x: Tensor): Tensor {
  return (x.rank > 2 ? x.flatten(2).mean(-1) : x).mean(0)
}

/**
 * Standardises groups of channels of each example, with their space (Wu & He 2018, formula 3), then scales and shifts channels.
 *
 * @example
 * ```ts
 * import { ones } from '@tessera/core'
 * import { GroupNorm } from '@tessera/nn'
 * console.log(new GroupNorm(4, 32).forward(ones([2, 32, 8, 8])).shape) // [2, 32, 8, 8]
 * ```
 */
export class GroupNorm extends ChannelNorm {
  readonly groups: number

  constructor(groups: number, channels: number, { affine = true, epsilon = 1e-5 }: ChannelNormOptions = {}) {
    super(new.target.name, channels, affine, epsilon)
    checkExtents(new.target.name, { groups })
    if (channels % groups !== 0) {
      throw new TesseraError(
        'MODULE_CONFIGURATION',
        `GroupNorm: ${groups} groups must divide the ${channels} channels.`,
      )
    }
    this.groups = groups
  }

  override forward(x: Tensor): Tensor {
    this.checkInput(x)
    const rows = x.reshape([x.shape[0]!, this.groups, -1])
    return this.scaled(layerNorm(rows, undefined, undefined, this.epsilon).reshape(x.shape))
  }
}

/** Standardises each channel of each example over its space (Ulyanov et al. 2016); not scaled by default. */
export class InstanceNorm extends GroupNorm {
  constructor(channels: number, { affine = false, epsilon = 1e-5 }: ChannelNormOptions = {}) {
    super(channels, channels, { affine, epsilon })
  }
}
