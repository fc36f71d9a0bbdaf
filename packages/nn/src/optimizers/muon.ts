import type { Tensor } from '@tessera/core'
import { adamChange } from './adam.ts'
import {
  checkRange,
  type DecayRule,
  decayedPaths,
  decayMatrices,
  type LearningRate,
  Optimizer,
  type ParameterState,
  type UpdateRule,
  zerosOf,
} from './optimizer.ts'

export interface MuonOptions {
  readonly learningRate: LearningRate
  /** μ of the orthogonalised parameters; 0.95 by default. */
  readonly momentum?: number
  /** Looks ahead along the momentum; true by default. */
  readonly nesterov?: boolean
  /** Steps of the Newton–Schulz iteration; 5 by default. */
  readonly iterations?: number
  /** λ, decoupled, of all parameters that decay; 0.1 by default. */
  readonly weightDecay?: number
  /** Which parameters decay; by default those with at least two axes. */
  readonly decay?: DecayRule
  /**
   * Which parameters are orthogonalised; by default those with at least two axes. Leave out embeddings and the output layer:
   * those, and all others, are updated by AdamW.
   */
  readonly orthogonalized?: DecayRule
  /** Decays and epsilon of the AdamW for the other parameters: 0.9, 0.95 and 1e-8 by default. */
  readonly beta1?: number
  readonly beta2?: number
  readonly epsilon?: number
}

/** Jordan et al. 2024: a polynomial whose repetition moves singular values to about 1, between 0.7 and 1.2. */
const [a, b, c] = [3.4445, -4.775, 2.0315]

/**
 * Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"): momentum whose matrices are
 * replaced by nearly orthogonal ones of the same row and column space, with the scale and the weight decay of Liu et al. 2025
 * ("Muon is scalable for LLM training", formula 4), so that one learning rate serves Muon and AdamW alike:
 *
 * `M = μM + g`, `O = NewtonSchulz(g + μM)`, `θ −= γ (0.2 √max(rows, columns) · O + λθ)`.
 *
 * A tensor with more than two axes counts as a matrix of its first axis by all others.
 *
 * @example
 * ```ts
 * import { randomKey } from '@tessera/core'
 * import { Mlp, Muon } from '@tessera/nn'
 * const model = new Mlp([8, 32, 32, 4], { key: randomKey(0) })
 * const orthogonalized = (name: string) => /layers\.[01]\.weight/.test(name)
 * const optimizer = new Muon(model, { learningRate: 1e-3, orthogonalized })
 * console.log(Object.keys(optimizer.state.momentum!)) // layers.0.weight, layers.1.weight
 * ```
 */
export class Muon extends Optimizer {
  protected override readonly wideState = ['secondMoment']
  readonly momentum: number
  readonly nesterov: boolean
  readonly iterations: number
  readonly weightDecay: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Paths of the parameters that decay, one a line. */
  readonly decayedParameters: string
  /** Paths of the parameters that are orthogonalised, one a line. */
  readonly orthogonalizedParameters: string

  constructor(model: object, options: MuonOptions) {
    const { momentum = 0.95, nesterov = true, iterations = 5, weightDecay = 0.1 } = options
    const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, decay = decayMatrices, orthogonalized = decayMatrices } = options
    checkRange('Muon', 'momentum', momentum, 0, 1)
    checkRange('Muon', 'iterations', iterations, 1, 100)
    checkRange('Muon', 'weightDecay', weightDecay, 0, Number.POSITIVE_INFINITY)
    checkRange('Muon', 'beta1', beta1, 0, 1)
    checkRange('Muon', 'beta2', beta2, 0, 1)
    checkRange('Muon', 'epsilon', epsilon, 0, Number.POSITIVE_INFINITY)
    const chosen = (name: string, parameter: Tensor) => parameter.rank >= 2 && orthogonalized(name, parameter)
    super(model, options.learningRate, (name, parameter) =>
      chosen(name, parameter)
        ? { momentum: zerosOf(parameter) }
        : { firstMoment: zerosOf(parameter), secondMoment: zerosOf(parameter) },
    )
    this.momentum = momentum
    this.nesterov = nesterov
    this.iterations = iterations
    this.weightDecay = weightDecay
    this.beta1 = beta1
    this.beta2 = beta2
    this.epsilon = epsilon
    this.decayedParameters = decayedPaths(model, decay)
    this.orthogonalizedParameters = decayedPaths(model, chosen)
  }

  protected override prepare(step: Tensor, learningRate: Tensor): UpdateRule {
    const decayed = new Set(this.weightDecay > 0 ? this.decayedParameters.split('\n') : [])
    const orthogonalized = new Set(this.orthogonalizedParameters.split('\n'))
    const adam = adamChange(this, step, learningRate)
    const decayRate = learningRate.multiply(this.weightDecay)
    return (name, value, gradient, state) => {
      const { change, moments } = orthogonalized.has(name)
        ? this.#orthogonalChange(gradient, state.momentum!, learningRate)
        : adam(gradient, state)
      const total = decayed.has(name) ? change.add(value.multiply(decayRate)) : change
      return { value: value.subtract(total), state: moments }
    }
  }

  #orthogonalChange(gradient: Tensor, old: Tensor, learningRate: Tensor): { change: Tensor; moments: ParameterState } {
    const momentum = old.multiply(this.momentum).add(gradient)
    const ahead = this.nesterov ? gradient.add(momentum.multiply(this.momentum)) : momentum
    const matrix = ahead.reshape([ahead.shape[0]!, -1])
    const scale = learningRate.multiply(0.2 * Math.sqrt(Math.max(...matrix.shape)))
    return {
      change: orthogonalize(matrix, this.iterations).multiply(scale).reshape(gradient.shape),
      moments: { momentum },
    }
  }
}

/**
 * A nearly orthogonal matrix with the row and column space of another: singular values of 0.7 to 1.2, by Newton–Schulz iteration with the
 * coefficients of Jordan et al. 2024. Singular values far below the largest need more iterations.
 *
 * @param matrix `[rows, columns]`
 */
export function orthogonalize(matrix: Tensor, iterations = 5): Tensor {
  const [rows, columns] = matrix.shape as readonly [number, number]
  // The smaller Gram matrix is the cheaper one.
  const isTall = rows > columns
  const wide = isTall ? matrix.transpose() : matrix
  let x = wide.divide(wide.square().sum().sqrt().add(1e-7))
  for (let i = 0; i < iterations; i++) {
    const gram = x.matmul(x.transpose())
    const polynomial = gram.multiply(b).add(gram.matmul(gram).multiply(c))
    x = x.multiply(a).add(polynomial.matmul(x))
  }
  return isTall ? x.transpose() : x
}
