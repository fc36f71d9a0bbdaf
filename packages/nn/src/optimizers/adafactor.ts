import { type Shape, type Tensor, zeros } from '@tessera/core'
import { defineSchedule } from '../schedules/schedules.ts'
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

export interface AdafactorOptions {
  /** By default the paper's `min(0.01, 1/√t)`, which goes with `relativeStep`. */
  readonly learningRate?: LearningRate
  /** Whether the learning rate counts in units of each parameter's root mean square, but at least of `epsilon2`; true by default. */
  readonly relativeStep?: boolean
  /** Decay of the mean of updates; 0, the default, keeps no mean. */
  readonly beta1?: number
  /** Exponent of the decay of squared gradients, `1 − t^−decayExponent`; 0.8 by default. */
  readonly decayExponent?: number
  /** Largest root mean square of an update of a parameter, in units of the learning rate; 1 by default. */
  readonly clipThreshold?: number
  /** Added to squared gradients. */
  readonly epsilon1?: number
  readonly epsilon2?: number
  /** λ, decoupled: `θ −= γλθ`; 0 by default. */
  readonly weightDecay?: number
  /** Which parameters decay; by default those with at least two axes. */
  readonly decay?: DecayRule
}

/** Adafactor's own schedule (section 8.1): constant for 10,000 steps, then 1/√t. */
const paperSchedule = defineSchedule((step, on) => on.minimum(on.power(on.maximum(step, 1), -0.5), 1e-2))

/**
 * Adafactor (Shazeer & Stern 2018, algorithms 4 and 5). Of the squared gradients of a tensor with two axes or more it keeps only means along
 * its two largest axes, so its state is a fraction of Adam's; updates are clipped by their root mean square.
 *
 * `V = R·C / mean(R)`, `U = g / √V`, `θ −= γ · max(ε₂, RMS(θ)) · U / max(1, RMS(U) / d)`.
 *
 * @example
 * ```ts
 * import { zeros } from '@tessera/core'
 * import { Adafactor } from '@tessera/nn'
 * const optimizer = new Adafactor({ weight: zeros([512, 2048]) }, {})
 * console.log(optimizer.state.rows!.weight!.shape, optimizer.state.columns!.weight!.shape) // [512, 1], [1, 2048]
 * ```
 */
export class Adafactor extends Optimizer {
  protected override readonly wideState = ['secondMoment', 'rows', 'columns']
  readonly relativeStep: boolean
  readonly beta1: number
  readonly decayExponent: number
  readonly clipThreshold: number
  readonly epsilon1: number
  readonly epsilon2: number
  readonly weightDecay: number
  /** Paths of the parameters that decay, one a line. */
  readonly decayedParameters: string

  constructor(model: object, options: AdafactorOptions = {}) {
    const { beta1 = 0, decayExponent = 0.8, clipThreshold = 1, epsilon1 = 1e-30, epsilon2 = 1e-3 } = options
    const { weightDecay = 0, decay = decayMatrices } = options
    checkRange('Adafactor', 'beta1', beta1, 0, 1)
    checkRange('Adafactor', 'decayExponent', decayExponent, 0, 1)
    checkRange('Adafactor', 'epsilon1', epsilon1, 0, Number.POSITIVE_INFINITY)
    checkRange('Adafactor', 'epsilon2', epsilon2, 0, Number.POSITIVE_INFINITY)
    checkRange('Adafactor', 'clipThreshold', clipThreshold, Number.MIN_VALUE, Number.POSITIVE_INFINITY)
    checkRange('Adafactor', 'weightDecay', weightDecay, 0, Number.POSITIVE_INFINITY)
    super(model, options.learningRate ?? paperSchedule, (_, parameter) => ({
      ...secondMomentOf(parameter),
      ...(beta1 > 0 && { firstMoment: zerosOf(parameter) }),
    }))
    this.relativeStep = options.relativeStep ?? true
    this.beta1 = beta1
    this.decayExponent = decayExponent
    this.clipThreshold = clipThreshold
    this.epsilon1 = epsilon1
    this.epsilon2 = epsilon2
    this.weightDecay = weightDecay
    this.decayedParameters = decayedPaths(model, decay)
  }

  protected override prepare(step: Tensor, learningRate: Tensor): UpdateRule {
    // 1 − β₂ = t^−0.8: 1 at the first step, so the zeros of the start never count.
    const fresh = step.power(-this.decayExponent)
    const decayed = new Set(this.weightDecay > 0 ? this.decayedParameters.split('\n') : [])
    return (name, value, gradient, state) => {
      const follow = (old: Tensor, current: Tensor) => old.add(current.subtract(old).multiply(fresh))
      const { secondMoment, moments } = this.#secondMoment(gradient, state, follow)
      const direction = gradient.divide(secondMoment.sqrt())
      const clipped = direction.divide(rootMeanSquare(direction).divide(this.clipThreshold).maximum(1))
      const rate = this.relativeStep
        ? rootMeanSquare(value).maximum(this.epsilon2).multiply(learningRate)
        : learningRate
      const step = clipped.multiply(rate)
      const firstMoment = state.firstMoment?.multiply(this.beta1).add(step.multiply(1 - this.beta1))
      const change = firstMoment ?? step
      const total = decayed.has(name) ? change.add(value.multiply(learningRate.multiply(this.weightDecay))) : change
      return { value: value.subtract(total), state: { ...moments, ...(firstMoment && { firstMoment }) } }
    }
  }

  /** The estimate of the squared gradient, and the state that it was made of. */
  #secondMoment(
    gradient: Tensor,
    state: ParameterState,
    follow: (old: Tensor, current: Tensor) => Tensor,
  ): { secondMoment: Tensor; moments: ParameterState } {
    const squared = gradient.square().add(this.epsilon1)
    const axes = factoredAxes(gradient.shape)
    if (!axes) {
      const secondMoment = follow(state.secondMoment!, squared)
      return { secondMoment, moments: { secondMoment } }
    }
    const rows = follow(state.rows!, squared.mean(axes[1], { keepDims: true }))
    const columns = follow(state.columns!, squared.mean(axes[0], { keepDims: true }))
    const normalized = rows.divide(rows.mean(axes[0], { keepDims: true }))
    return { secondMoment: normalized.multiply(columns), moments: { rows, columns } }
  }
}

/** Rows and columns: the two largest axes, in order; `undefined` with fewer than two. */
function factoredAxes(shape: Shape): readonly [number, number] | undefined {
  if (shape.length < 2) return undefined
  const bySize = shape.map((_, axis) => axis).sort((a, b) => shape[b]! - shape[a]! || b - a)
  const [first, second] = bySize.slice(0, 2).sort((a, b) => a - b) as [number, number]
  return [first, second]
}

function secondMomentOf(parameter: Tensor): ParameterState {
  const axes = factoredAxes(parameter.shape)
  if (!axes) return { secondMoment: zerosOf(parameter) }
  const without = (axis: number) =>
    zeros(
      parameter.shape.map((extent, i) => (i === axis ? 1 : extent)),
      zerosOf(parameter).dtype,
    )
  return { rows: without(axes[1]), columns: without(axes[0]) }
}

function rootMeanSquare(x: Tensor): Tensor {
  return x.square().mean().sqrt()
}
