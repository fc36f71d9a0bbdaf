import { ones, type Tensor } from '@tessera/core'
import { checkExtents } from './check.ts'
import { type Layer, Module } from './module.ts'

export interface RmsNormOptions {
  /** Whether the result is scaled by a learned factor for each channel, 1 at first; true by default. */
  readonly gain?: boolean
  /** Added to the mean square; 1e-6 by default. */
  readonly epsilon?: number
}

/** Divides the last axis by its root mean square, then scales it (Zhang & Sennrich 2019, formula 4). */
export class RmsNorm extends Module implements Layer {
  /** `[channels]` */
  gain: Tensor | undefined
  readonly epsilon: number

  constructor(channels: number, { gain = true, epsilon = 1e-6 }: RmsNormOptions = {}) {
    super()
    checkExtents('RmsNorm', { channels })
    this.gain = gain ? ones([channels]) : undefined
    this.epsilon = epsilon
  }

  /** @param x `[..., channels]` */
  forward(x: Tensor): Tensor {
    const factor = x.square().mean(-1, { keepDims: true }).add(this.epsilon).sqrt().reciprocal()
    const y = x.multiply(factor)
    return this.gain ? y.multiply(this.gain) : y
  }
}
