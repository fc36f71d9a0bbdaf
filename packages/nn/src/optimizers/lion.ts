import type { Tensor } from '@tessera/core'
import {
  checkRange,
  type DecayRule,
  decayedPaths,
  decayMatrices,
  type LearningRate,
  Optimizer,
  type UpdateRule,
} from './optimizer.ts'

export interface LionOptions {
  /** A third to a tenth of what AdamW takes. */
  readonly learningRate: LearningRate
  /** Share of the momentum in the direction; 0.9 by default. */
  readonly beta1?: number
  /** Decay of the momentum; 0.99 by default. */
  readonly beta2?: number
  /** λ, decoupled; 0 by default. Three to ten times what AdamW takes. */
  readonly weightDecay?: number
  /** Which parameters decay; by default those with at least two axes. */
  readonly decay?: DecayRule
}

/**
 * Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2): one moment instead of Adam's two.
 *
 * `c = β₁m + (1 − β₁)g`, `θ −= γ (sign(c) + λθ)`, `m = β₂m + (1 − β₂)g`.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { Lion } from '@tessera/nn'
 * const model = { x: tensor([4, -1]) }
 * new Lion(model, { learningRate: 0.5 }).update(model, { x: tensor([100, -0.01]) })
 * console.log(await model.x.data()) // [3.5, -0.5]
 * ```
 */
export class Lion extends Optimizer {
  readonly beta1: number
  readonly beta2: number
  readonly weightDecay: number
  /** Paths of the parameters that decay, one a line. */
  readonly decayedParameters: string

  constructor(model: object, options: LionOptions) {
    const { beta1 = 0.9, beta2 = 0.99, weightDecay = 0, decay = decayMatrices } = options
    checkRange('Lion', 'beta1', beta1, 0, 1)
    checkRange('Lion', 'beta2', beta2, 0, 1)
    checkRange('Lion', 'weightDecay', weightDecay, 0, Number.POSITIVE_INFINITY)
    super(model, options.learningRate, ['momentum'])
    this.beta1 = beta1
    this.beta2 = beta2
    this.weightDecay = weightDecay
    this.decayedParameters = decayedPaths(model, decay)
  }

  protected override prepare(_step: Tensor, learningRate: Tensor): UpdateRule {
    const decayed = new Set(this.weightDecay > 0 ? this.decayedParameters.split('\n') : [])
    return (name, value, gradient, state) => {
      const momentum = state.momentum!
      const direction = momentum
        .multiply(this.beta1)
        .add(gradient.multiply(1 - this.beta1))
        .sign()
      const change = decayed.has(name) ? direction.add(value.multiply(this.weightDecay)) : direction
      return {
        value: value.subtract(change.multiply(learningRate)),
        state: { momentum: momentum.multiply(this.beta2).add(gradient.multiply(1 - this.beta2)) },
      }
    }
  }
}
