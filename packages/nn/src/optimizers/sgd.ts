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

export interface SgdOptions {
  readonly learningRate: LearningRate
  /** μ; 0 is plain gradient descent. */
  readonly momentum?: number
  /** Looks ahead along the momentum (Sutskever et al. 2013, in PyTorch's form). */
  readonly nesterov?: boolean
  /** λ of an L2 penalty `λ/2 · |θ|²`, added to the gradient. */
  readonly weightDecay?: number
  /** Which parameters decay; by default those with at least two axes. */
  readonly decay?: DecayRule
}

/**
 * Stochastic gradient descent, as PyTorch defines it:
 * `g += λθ`, `b = μb + g`, `θ −= γb`, or `θ −= γ(g + μb)` with Nesterov's momentum.
 *
 * @example
 * ```ts
 * import { jit, tensor, type Tensor, valueAndGrad } from '@tessera/core'
 * import { Sgd } from '@tessera/nn'
 * const model = { x: tensor([4]) }
 * const optimizer = new Sgd(model, { learningRate: 0.25 })
 * const step = jit((state: typeof model, sgd: Sgd) => {
 *   sgd.update(state, valueAndGrad(state, ({ x }) => x.square().sum()).gradients)
 * })
 * step(model, optimizer)
 * console.log(await model.x.item()) // 2
 * ```
 */
export class Sgd extends Optimizer {
  readonly momentum: number
  readonly nesterov: boolean
  readonly weightDecay: number
  /** Paths of the parameters that decay, one a line. */
  readonly decayedParameters: string

  constructor(model: object, options: SgdOptions) {
    const { learningRate, momentum = 0, nesterov = false, weightDecay = 0, decay = decayMatrices } = options
    checkRange('Sgd', 'momentum', momentum, 0, 1)
    checkRange('Sgd', 'weightDecay', weightDecay, 0, Number.POSITIVE_INFINITY)
    super(model, learningRate, momentum > 0 ? ['momentum'] : [])
    this.momentum = momentum
    this.nesterov = nesterov
    this.weightDecay = weightDecay
    this.decayedParameters = decayedPaths(model, decay)
  }

  protected override prepare(_step: Tensor, learningRate: Tensor): UpdateRule {
    const decayed = new Set(this.weightDecay > 0 ? this.decayedParameters.split('\n') : [])
    return (name, value, loss, state) => {
      const decays = decayed.has(name)
      const gradient = decays ? loss.add(value.multiply(this.weightDecay)) : loss
      if (this.momentum === 0) return { value: value.subtract(gradient.multiply(learningRate)), state: {} }
      const momentum = state.momentum!.multiply(this.momentum).add(gradient)
      const direction = this.nesterov ? gradient.add(momentum.multiply(this.momentum)) : momentum
      return { value: value.subtract(direction.multiply(learningRate)), state: { momentum } }
    }
  }
}
