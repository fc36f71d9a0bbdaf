import { full, mapTensors, type Tensor, TesseraError, tensorsIn, where, zeros } from '@tessera/core'
import { scaledGradient } from './scaled-gradient.ts'

export interface LossScaleOptions {
  /** Scale at the start; 2^16 by default. */
  readonly initial?: number
  /** Factor after `growthInterval` updates in a row whose gradients were finite; 2 by default. */
  readonly growth?: number
  /** 2000 by default. */
  readonly growthInterval?: number
  /** Factor after an update whose gradients were not finite; ½ by default. */
  readonly backoff?: number
  /** Updates after a reduction during which the scale is not reduced again; 0 by default. */
  readonly backoffInterval?: number
  readonly minimum?: number
  readonly maximum?: number
}

/**
 * A scale that keeps small gradients in the range of a small number format: the loss is multiplied by it, the gradients are
 * divided by it, and updates with gradients that overflowed are left out (Micikevicius et al. 2018, section 3.2). The
 * defaults are those of PyTorch's `GradScaler`.
 *
 * `LossScale.perBlock()` is the rule of DALL·E (Ramesh et al. 2021, appendix D), where every residual block has a scale of its own:
 * see `branch`.
 *
 * @example
 * ```ts
 * import { jit, randomKey, tensor, type Tensor, valueAndGrad } from '@tessera/core'
 * import { AdamW, Linear, LossScale, meanSquaredError } from '@tessera/nn'
 * const model = new Linear(2, 1, { key: randomKey(0) })
 * const optimizer = new AdamW(model, { learningRate: 0.1 })
 * const step = jit((model: Linear, optimizer: AdamW, lossScale: LossScale, x: Tensor, y: Tensor) => {
 *   const { value, gradients } = valueAndGrad(model.parameters(), () =>
 *     lossScale.scaled(meanSquaredError(model.forward(x).cast('f16'), y)))
 *   const { gradients: unscaled, finite } = lossScale.unscale(gradients)
 *   optimizer.update(model, unscaled, { apply: finite })
 *   lossScale.update(finite)
 *   return value
 * })
 * const lossScale = new LossScale({ initial: 1024 })
 * step(model, optimizer, lossScale, tensor([[1, 2]]), tensor([[3]]))
 * console.log(await lossScale.scale.item(), await optimizer.step.item()) // 1024 1
 * ```
 */
export class LossScale {
  /** The scale, f32. */
  scale: Tensor
  /** Updates in a row with finite gradients since the scale last changed, i32. */
  finiteUpdates: Tensor = zeros([], 'i32')
  /** Updates until the scale may be reduced again, i32. */
  heldUpdates: Tensor = zeros([], 'i32')
  readonly growth: number
  readonly growthInterval: number
  readonly backoff: number
  readonly backoffInterval: number
  readonly minimum: number
  readonly maximum: number

  constructor(options: LossScaleOptions = {}) {
    const { initial = 2 ** 16, growth = 2, growthInterval = 2000, backoff = 0.5, backoffInterval = 0 } = options
    const { minimum = 1, maximum = 2 ** 32 } = options
    const conditions: Record<string, boolean> = {
      'minimum > 0': minimum > 0,
      'minimum ≤ initial ≤ maximum': minimum <= initial && initial <= maximum,
      'maximum ≤ 2^126': maximum <= 2 ** 126,
      'growth ≥ 1': growth >= 1 && Number.isFinite(growth),
      '0 < backoff ≤ 1': backoff > 0 && backoff <= 1,
      'growthInterval is a whole number from 1 up': Number.isSafeInteger(growthInterval) && growthInterval >= 1,
      'backoffInterval is a whole number': Number.isSafeInteger(backoffInterval) && backoffInterval >= 0,
    }
    const broken = Object.keys(conditions).filter((condition) => !conditions[condition])
    if (broken.length > 0) {
      throw new TesseraError('LOSS_SCALE_OPTIONS', `LossScale: must hold, but does not: ${broken.join('; ')}.`)
    }
    this.scale = full([], initial)
    this.growth = growth
    this.growthInterval = growthInterval
    this.backoff = backoff
    this.backoffInterval = backoffInterval
    this.minimum = minimum
    this.maximum = maximum
  }

  /**
   * The rule of DALL·E's residual blocks: 2^13 M at first, times 2^(1/1000) after each finite update, divided by √2 after others but
   * not twice within 125 updates, from 2^7 M to 2^24 M, where M is the number of workers whose gradients are summed.
   */
  static perBlock(workers = 1): LossScale {
    return new LossScale({
      initial: workers * 2 ** 13,
      growth: 2 ** (1 / 1000),
      growthInterval: 1,
      backoff: Math.SQRT1_2,
      backoffInterval: 125,
      minimum: workers * 2 ** 7,
      maximum: workers * 2 ** 24,
    })
  }

  /** A loss times the scale, f32. */
  scaled(loss: Tensor): Tensor {
    return loss.cast('f32').multiply(this.scale)
  }

  /**
   * Runs a branch, as the one of a residual block `x + branch(x)`, so that gradients inside it are larger by the scale, and
   * those that leave it are not. What overflows inside counts as 0 outside. Gradients of the branch's parameters are
   * scaled: divide them with `unscale`.
   */
  branch(x: Tensor, body: (x: Tensor) => Tensor): Tensor {
    return scaledGradient(body(scaledGradient(x, this.scale.reciprocal())), this.scale)
  }

  /** Gradients divided by the scale, in f32, and whether all of them are finite (a bool scalar). */
  unscale<Tree>(gradients: Tree): { gradients: Tree; finite: Tensor } {
    const finite = allFinite(gradients)
    const factor = this.scale.reciprocal()
    return {
      finite,
      gradients: mapTensors(gradients, (gradient) => gradient.cast('f32').multiply(factor)),
    }
  }

  /** Moves the scale after an update. Record it in the same program. */
  update(finite: Tensor): void {
    const good = this.finiteUpdates.add(1)
    const grows = finite.and(good.greaterEqual(this.growthInterval))
    const shrinks = finite.not().and(this.heldUpdates.lessEqual(0))
    const factor = where(grows, this.growth, where(shrinks, this.backoff, 1))
    this.scale = this.scale.multiply(factor).maximum(this.minimum).minimum(this.maximum)
    this.finiteUpdates = where(finite.and(grows.not()), good, 0).cast('i32')
    this.heldUpdates = where(shrinks, this.backoffInterval, this.heldUpdates.subtract(1).maximum(0)).cast('i32')
  }
}

/** Whether every element of every tensor of a tree is a finite number: a bool scalar. */
export function allFinite(tree: unknown): Tensor {
  const unique = new Map(tensorsIn(tree).map((x) => [x.node, x.cast('f32')]))
  // x − x is 0 for finite numbers and NaN for others.
  const checks = [...unique.values()].map((x) => x.subtract(x).equal(0).cast('f32').min().greater(0))
  const [first, ...rest] = checks
  return first ? rest.reduce((all, check) => all.and(check), first) : full([], 1, 'bool')
}
