import type { Tensor } from '@tessera/core'
import {
  checkRange,
  type DecayRule,
  decayedPaths,
  decayMatrices,
  type LearningRate,
  Optimizer,
  type ParameterState,
  type UpdateRule,
} from './optimizer.ts'

export interface AdamOptions {
  readonly learningRate: LearningRate
  /** Decay of the mean of gradients; 0.9 by default. */
  readonly beta1?: number
  /** Decay of the mean of squared gradients; 0.999 by default, 0.95 in GPT-3. */
  readonly beta2?: number
  readonly epsilon?: number
  /** λ: 0 by default for `Adam`, 0.01 for `AdamW`. */
  readonly weightDecay?: number
  /** Which parameters decay; by default those with at least two axes. */
  readonly decay?: DecayRule
}

/**
 * Adam (Kingma & Ba 2015, algorithm 1) in the order of computation that section 2 of the paper recommends: with
 * `αₜ = γ √(1 − β₂ᵗ) / (1 − β₁ᵗ)` and `εₜ = ε √(1 − β₂ᵗ)`, computed once for each step,
 *
 * `m = β₁m + (1 − β₁)g`, `v = β₂v + (1 − β₂)g²`, `θ −= αₜ m / (√v + εₜ)`.
 *
 * This equals the bias-corrected form with `ε` added to `√v̂`. A weight decay is an L2 penalty added to the gradient.
 */
export class Adam extends Optimizer {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** Whether weight decay is taken off the parameter instead of being added to the gradient. */
  protected readonly decoupled: boolean = false
  protected override readonly wideState = ['secondMoment']
  /** Paths of the parameters that decay, one a line. */
  readonly decayedParameters: string

  constructor(model: object, options: AdamOptions) {
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, decay = decayMatrices } = options
    checkRange(new.target.name, 'beta1', beta1, 0, 1)
    checkRange(new.target.name, 'beta2', beta2, 0, 1)
    checkRange(new.target.name, 'epsilon', epsilon, 0, Number.POSITIVE_INFINITY)
    checkRange(new.target.name, 'weightDecay', weightDecay, 0, Number.POSITIVE_INFINITY)
    super(model, options.learningRate, ['firstMoment', 'secondMoment'])
    this.beta1 = beta1
    this.beta2 = beta2
    this.epsilon = epsilon
    this.weightDecay = weightDecay
    this.decayedParameters = decayedPaths(model, decay)
  }

  protected override prepare(step: Tensor, learningRate: Tensor): UpdateRule {
    const changeOf = adamChange(this, step, learningRate)
    const decayRate = learningRate.multiply(this.weightDecay)
    const decayed = new Set(this.weightDecay > 0 ? this.decayedParameters.split('\n') : [])
    return (name, value, loss, state) => {
      const decays = decayed.has(name)
      const gradient = decays && !this.decoupled ? loss.add(value.multiply(this.weightDecay)) : loss
      const { change, moments } = changeOf(gradient, state)
      // The decay is added to the change: 1 − γλ, rounded to single precision, would lose most of its digits.
      const total = decays && this.decoupled ? change.add(value.multiply(decayRate)) : change
      return { value: value.subtract(total), state: moments }
    }
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2, in PyTorch's form): `θ −= γλθ` beside Adam's step.
 *
 * @example
 * ```ts
 * import { jit, randomKey, tensor, type Tensor, valueAndGrad } from '@tessera/core'
 * import { AdamW, clipByGlobalNorm, Linear, meanSquaredError, warmUpCosine } from '@tessera/nn'
 * const model = new Linear(2, 1, { key: randomKey(0) })
 * const learningRate = warmUpCosine({ peak: 0.1, warmUpSteps: 10, steps: 200 })
 * const optimizer = new AdamW(model, { learningRate, weightDecay: 0 })
 * const step = jit((model: Linear, optimizer: AdamW, x: Tensor, y: Tensor) => {
 *   const { value, gradients } = valueAndGrad(model, (m) => meanSquaredError(m.forward(x), y))
 *   optimizer.update(model, clipByGlobalNorm(gradients, 1).gradients)
 *   return value
 * })
 * const x = tensor([[0, 0], [0, 1], [1, 0]])
 * const y = tensor([[1], [3], [-1]])
 * for (let i = 0; i < 200; i++) step(model, optimizer, x, y)
 * console.log(await model.weight.data(), await model.bias!.data()) // about [-2, 2], [1]
 * ```
 */
export class AdamW extends Adam {
  protected override readonly decoupled = true

  constructor(model: object, options: AdamOptions) {
    super(model, { weightDecay: 0.01, ...options })
  }
}

/** Adam's step without weight decay: what is to be subtracted, and the new moments. */
export function adamChange(
  { beta1, beta2, epsilon }: Required<Pick<AdamOptions, 'beta1' | 'beta2' | 'epsilon'>>,
  step: Tensor,
  learningRate: Tensor,
): (gradient: Tensor, state: ParameterState) => { change: Tensor; moments: ParameterState } {
  const rootOfCorrection = biasCorrection(step, beta2).sqrt()
  const rate = learningRate.multiply(rootOfCorrection).divide(biasCorrection(step, beta1))
  const scaledEpsilon = rootOfCorrection.multiply(epsilon)
  return (gradient, state) => {
    const firstMoment = state.firstMoment!.multiply(beta1).add(gradient.multiply(1 - beta1))
    const secondMoment = state.secondMoment!.multiply(beta2).add(gradient.square().multiply(1 - beta2))
    const change = firstMoment.divide(secondMoment.sqrt().add(scaledEpsilon)).multiply(rate)
    return { change, moments: { firstMoment, secondMoment } }
  }
}

/** 1 − βᵗ, without the cancellation that makes it inaccurate for the first steps when β is near 1. */
function biasCorrection(step: Tensor, beta: number): Tensor {
  return step.multiply(Math.log(beta)).expm1().negate()
}
