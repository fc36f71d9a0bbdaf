import type { Tensor } from '@tessera/core'
import { checkRange, type LearningRate, Optimizer, type UpdateRule } from './optimizer.ts'

export interface RmsPropOptions {
  readonly learningRate: LearningRate
  /** ρ: decay of the mean of squared gradients; 0.99 by default. */
  readonly decayRate?: number
  /** ε: 1e-8 by default. */
  readonly epsilon?: number
}

/**
 * RMSProp (Tieleman & Hinton 2012) as Arjovsky et al. (2017) train Wasserstein GANs with it, in the form of neon and TensorFlow:
 *
 * `v = ρv + (1 − ρ)g²`, `θ −= γ g / √(v + ε)`.
 *
 * With ε under the root no gradient is enlarged by more than `1 / √ε`, also where v is too small for a number format and becomes zero. PyTorch adds
 * ε to the root.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { RmsProp } from '@tessera/nn'
 * const model = { x: tensor([4, -1]) }
 * new RmsProp(model, { learningRate: 0.1, decayRate: 0.75 }).update(model, { x: tensor([100, -3]) })
 * console.log(await model.x.data()) // about [3.8, -0.8]
 * ```
 */
export class RmsProp extends Optimizer {
  readonly decayRate: number
  readonly epsilon: number
  protected override readonly wideState = ['meanSquare']

  constructor(model: object, { learningRate, decayRate = 0.99, epsilon = 1e-8 }: RmsPropOptions) {
    checkRange('RmsProp', 'decayRate', decayRate, 0, 1)
    checkRange('RmsProp', 'epsilon', epsilon, 0, Number.POSITIVE_INFINITY)
    super(model, learningRate, ['meanSquare'])
    this.decayRate = decayRate
    this.epsilon = epsilon
  }

  protected override prepare(_step: Tensor, learningRate: Tensor): UpdateRule {
    return (_, value, gradient, state) => {
      const meanSquare = state.meanSquare!.multiply(this.decayRate).add(gradient.square().multiply(1 - this.decayRate))
      const change = gradient.divide(meanSquare.add(this.epsilon).sqrt()).multiply(learningRate)
      return { value: value.subtract(change), state: { meanSquare } }
    }
  }
}
