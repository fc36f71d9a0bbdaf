import { dropout, splitKey, type Tensor, TesseraError } from '@tessera/core'
import { type Layer, Module } from './module.ts'

export interface DropoutOptions {
  /** Random key of the first mask; not to be used for anything else. */
  readonly key: Tensor
}

/**
 * Zeroes elements with probability `rate` and divides the others by 1 − `rate`, while training (Srivastava et al. 2014).
 *
 * The random key is state of the module: each forward pass in training mode uses half of it and assigns the other half to
 * `key`, so `jit` threads it from step to step and checkpoints contain it. Outside of `jit` the chain of keys is recorded
 * until it is realised, so long loops belong into `jit`.
 */
export class Dropout extends Module implements Layer {
  readonly rate: number
  /** u32[2] */
  key: Tensor

  constructor(rate: number, options: DropoutOptions) {
    super()
    if (!(rate >= 0 && rate < 1)) {
      throw new TesseraError(
        'MODULE_CONFIGURATION',
        `${new.target.name}: the rate must be at least 0 and below 1, got ${rate}.`,
      )
    }
    this.rate = rate
    this.key = options.key
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.rate === 0) return x
    const [mask, next] = splitKey(this.key) as [Tensor, Tensor]
    this.key = next
    return this.drop(x, mask)
  }

  /** What happens while training, with a key of its own for each pass. */
  protected drop(x: Tensor, key: Tensor): Tensor {
    return dropout(x, this.rate, key)
  }
}
