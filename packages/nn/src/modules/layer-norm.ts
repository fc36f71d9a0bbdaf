import { layerNorm, ones, type Tensor, zeros } from '@tessera/core'
import { checkExtents } from './check.ts'
import { type Layer, Module } from './module.ts'

export interface LayerNormOptions {
  /** Whether the result is scaled by a learned factor for each channel, 1 at first; true by default. */
  readonly gain?: boolean
  /** Whether a learned offset, 0 at first, is added for each channel; by default as `gain`. */
  readonly bias?: boolean
  /** Added to the variance. */
  readonly epsilon?: number
}

/** Standardises the last axis, then scales and shifts it (Ba, Kiros & Hinton 2016). */
export class LayerNorm extends Module implements Layer {
  /** `[channels]` */
  gain: Tensor | undefined
  /** `[channels]` */
  bias: Tensor | undefined
  readonly epsilon: number

  constructor(channels: number, options: LayerNormOptions = {}) {
    super()
    checkExtents('LayerNorm', { channels })
    const { gain = true, bias = gain, epsilon = 1e-5 } = options
    this.gain = gain ? ones([channels]) : undefined
    this.bias = bias ? zeros([channels]) : undefined
    this.epsilon = epsilon
  }

  /** @param x `[..., channels]` */
  forward(x: Tensor): Tensor {
    if (this.bias && !this.gain) return layerNorm(x, undefined, undefined, this.epsilon).add(this.bias)
    return layerNorm(x, this.gain, this.bias, this.epsilon)
  }
}
