import { full, type Tensor, TesseraError } from '@tessera/core'

export interface PlateauOptions {
  /** Learning rate at first. */
  readonly from: number
  /** ½ by default. */
  readonly factor?: number
  /** Evaluations without progress before the rate is reduced; 10 by default. */
  readonly patience?: number
  /** How much lower, relative to the best loss, a loss must be to count as progress; 1e-4 by default. */
  readonly threshold?: number
  /** The rate is not reduced below this; 0 by default. */
  readonly minimum?: number
}

/**
 * A learning rate that is reduced when the validation loss stops falling, as DALL·E's was. It depends on losses that the
 * host has read, so it is no `Schedule`: the optimizer's rate is a tensor, and is replaced without a new trace.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { ReduceOnPlateau, Sgd } from '@tessera/nn'
 * const plateau = new ReduceOnPlateau({ from: 0.1, patience: 2 })
 * const optimizer = new Sgd({ x: tensor([1]) }, { learningRate: plateau.learningRate() })
 * for (const loss of [1, 0.9, 0.9, 0.9]) plateau.observe(loss, optimizer)
 * console.log(plateau.rate) // 0.05
 * ```
 */
export class ReduceOnPlateau {
  readonly factor: number
  readonly patience: number
  readonly threshold: number
  readonly minimum: number
  /** The learning rate of now. */
  rate: number
  best = Number.POSITIVE_INFINITY
  /** Evaluations in a row without progress. */
  stale = 0

  constructor({ from, factor = 0.5, patience = 10, threshold = 1e-4, minimum = 0 }: PlateauOptions) {
    if (!(factor > 0 && factor < 1) || !(patience >= 1) || !(threshold >= 0 && threshold < 1)) {
      throw new TesseraError(
        'SCHEDULE_OPTIONS',
        `ReduceOnPlateau: needs 0 < factor < 1, patience ≥ 1 and 0 ≤ threshold < 1, got ${factor}, ${patience} and ${threshold}.`,
      )
    }
    this.rate = from
    this.factor = factor
    this.patience = patience
    this.threshold = threshold
    this.minimum = minimum
  }

  /** The rate as an f32 scalar, for an optimizer's options. */
  learningRate(): Tensor {
    return full([], this.rate)
  }

  /** Takes note of a validation loss and sets the optimizer's rate. Gives whether the rate was reduced. */
  observe(loss: number, optimizer: { learningRate: unknown }): boolean {
    if (loss < this.best * (1 - Math.sign(this.best) * this.threshold)) {
      this.best = loss
      this.stale = 0
      return false
    }
    if (++this.stale < this.patience) return false
    this.stale = 0
    const before = this.rate
    this.rate = Math.max(this.rate * this.factor, this.minimum)
    optimizer.learningRate = this.learningRate()
    return this.rate < before
  }
}
