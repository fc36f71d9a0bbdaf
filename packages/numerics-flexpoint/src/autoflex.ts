import { TesseraError } from '@tessera/core'
import { type FlexSizes, largestMantissa, requireSizes, smallestScale } from './encoding.ts'

/** Constants of Autoflex (Köster et al. 2017, algorithms 1 and 2). */
export interface AutoflexOptions extends FlexSizes {
  /** α: margin of the prediction. */
  readonly margin: number
  /** β: standard deviations that are added to the largest recent value. */
  readonly deviations: number
  /** γ: mantissa steps that are added; 100 with 16 bits, as published, and the same share of the range with fewer or more. */
  readonly offset: number
  /** l: values that are remembered. */
  readonly length: number
  /** Whether scales stay between 2^−(2^M − 1) and 1, as in the released source. */
  readonly clamp: boolean
  /**
   * Whether a tensor that is seldom used is predicted from its last two values and an eighth of the range, as in the released source. Only the
   * manager on the host heeds it: inside of programs every tensor is used in every call.
   */
  readonly stale: boolean
  /** How mantissas are rounded inside of programs: to the nearest, or up with the probability of the part that is lost. */
  readonly rounding: 'half-to-even' | 'stochastic'
  /** Of the random numbers of stochastic rounding: the same ones for the same seed on every backend. */
  readonly seed: number
}

export function autoflexOptions(options: Partial<AutoflexOptions> = {}): AutoflexOptions {
  const { bits = 16 } = options
  const settings = {
    bits,
    exponentBits: 5,
    margin: 2,
    deviations: 3,
    offset: 100 * 2 ** (bits - 16),
    length: 16,
    clamp: true,
    stale: false,
    rounding: 'half-to-even' as const,
    seed: 0,
    ...options,
  }
  requireSizes(settings)
  if (!(Number.isSafeInteger(settings.seed) && settings.seed >= 0))
    throw new TesseraError('FLEX_OPTIONS', `autoflex: seed must be an integer ≥ 0, got ${settings.seed}.`)
  if (!(Number.isInteger(settings.length) && settings.length >= 1))
    throw new TesseraError('FLEX_OPTIONS', `autoflex: length must be an integer ≥ 1, got ${settings.length}.`)
  return settings
}

/** ⌈log2 x⌉, exact at powers of two. */
export function ceilLog2(x: number): number {
  const floor = Math.floor(Math.log2(x))
  // Math.log2 may be off by one unit in the last place.
  const exponent = 2 ** floor > x ? floor - 1 : 2 ** (floor + 1) <= x ? floor + 1 : floor
  return 2 ** exponent === x ? exponent : exponent + 1
}

/** What chooses the scale of a tensor from the largest mantissas seen. */
export interface ScaleManager {
  readonly scale: number
  /** After a use: `largest` is Γ, the largest magnitude among the mantissas. */
  record(largest: number): void
}

/** Saved statistics of one tensor. */
export interface AutoflexState {
  readonly scale: number
  /** Φ = Γκ of recent uses, the latest last. */
  readonly recent: readonly number[]
  /** Chances to be used so far, and uses; absent in states of earlier versions. */
  readonly age?: number
  readonly uses?: number
}

/**
 * Autoflex for one tensor: predicts the scale for the next use from the maxima of recent ones, before a value overflows.
 *
 * @example
 * ```ts
 * import { Autoflex } from '@tessera/numerics-flexpoint'
 * const autoflex = new Autoflex()
 * autoflex.initialize((scale) => Math.min(Math.round(3 / scale), 32767)) // largest value 3
 * for (let i = 0; i < 20; i++) autoflex.record(Math.round(3 / autoflex.scale))
 * // 3 takes 14 bits, one is left for the sign, and one for growth.
 * console.log(Math.log2(autoflex.scale)) // -12
 * ```
 */
export class Autoflex implements ScaleManager {
  readonly #options: AutoflexOptions
  #scale = 1
  #recent: number[] = []
  #age = 0
  #uses = 0

  constructor(options: Partial<AutoflexOptions> = {}) {
    this.#options = autoflexOptions(options)
  }

  get scale(): number {
    return this.#scale
  }

  /**
   * Algorithm 1: runs the op with one scale after the other until its mantissas use enough bits.
   *
   * @param run gives Γ for a scale
   * @returns runs that it took; with nothing but zeros it gives up after 10 and keeps a scale of 1
   */
  initialize(run: (scale: number) => number): number {
    const { bits } = this.#options
    this.#scale = 1
    this.#recent = []
    for (let runs = 1; runs <= 10; runs++) {
      const largest = run(this.#scale)
      if (largest >= largestMantissa(bits)) this.#setScale(this.#scale * 2 ** Math.floor((bits - 1) / 2))
      else if (largest < 2 ** (bits - 2)) {
        this.#setScale(this.#scale * 2 ** (ceilLog2(Math.max(largest, 1)) - (bits - 2)))
        if (largest > 2 ** (Math.floor((bits - 1) / 2) - 2)) return runs
      } else return runs
    }
    if (run(this.#scale) === 0) this.#scale = 1
    return 10
  }

  /** Counts a chance to be used that was not taken, for the correction of stale tensors. */
  rest(): void {
    this.#age++
  }

  /** Algorithm 2. */
  record(largest: number): void {
    const { bits, margin, deviations, offset, length, stale } = this.#options
    if (!(largest >= 0 && Number.isFinite(largest)))
      throw new TesseraError('FLEX_VALUE', `autoflex: the largest mantissa must be a number ≥ 0, got ${largest}.`)
    this.#age++
    this.#uses++
    let magnitude = largest
    if (largest >= largestMantissa(bits)) {
      this.#recent = []
      magnitude = 2 * largest
    }
    this.#recent.push(magnitude * this.#scale)
    if (this.#recent.length > length) this.#recent.shift()
    const mean = this.#recent.reduce((sum, value) => sum + value, 0) / this.#recent.length
    const variance = this.#recent.reduce((sum, value) => sum + (value - mean) ** 2, 0) / this.#recent.length
    const isStale = stale && this.#uses <= this.#age / 16
    const regular = margin * (Math.max(...this.#recent) + deviations * Math.sqrt(variance) + offset * this.#scale)
    const predicted = isStale ? Math.max(...this.#recent.slice(-2)) + this.#scale * 2 ** (bits - 4) : regular
    if (predicted > 0) this.#setScale(2 ** (ceilLog2(predicted) - bits + 1))
  }

  #setScale(scale: number): void {
    const { clamp, exponentBits } = this.#options
    this.#scale = clamp ? Math.min(Math.max(scale, smallestScale(exponentBits)), 1) : scale
  }

  state(): AutoflexState {
    return { scale: this.#scale, recent: [...this.#recent], age: this.#age, uses: this.#uses }
  }

  restore({ scale, recent, age = 0, uses = 0 }: AutoflexState): void {
    this.#age = age
    this.#uses = uses
    this.#scale = scale
    this.#recent = [...recent]
  }
}

/** A scale that never changes. */
export class StaticScale implements ScaleManager {
  readonly scale: number

  constructor(scale: number) {
    this.scale = scale
  }

  record(): void {}
}

/**
 * Dynamic fixed point (Courbariaux, Bengio & David 2015), by overflows counted: the scale doubles when more than a share of recent uses
 * overflowed, and halves when that share would not be reached at half the scale either.
 */
export class DynamicFixedPoint implements ScaleManager {
  readonly #bits: number
  readonly #share: number
  readonly #interval: number
  #scale: number
  #uses = 0
  #overflows = 0
  #overflowsAtHalf = 0

  constructor({ bits = 16, scale = 1, share = 1e-4, interval = 100 } = {}) {
    this.#bits = bits
    this.#scale = scale
    this.#share = share
    this.#interval = interval
  }

  get scale(): number {
    return this.#scale
  }

  record(largest: number): void {
    this.#uses++
    if (largest >= largestMantissa(this.#bits)) this.#overflows++
    if (2 * largest >= largestMantissa(this.#bits)) this.#overflowsAtHalf++
    if (this.#uses < this.#interval) return
    if (this.#overflows > this.#share * this.#uses) this.#scale *= 2
    else if (this.#overflowsAtHalf <= this.#share * this.#uses) this.#scale /= 2
    this.#uses = 0
    this.#overflows = 0
    this.#overflowsAtHalf = 0
  }
}
