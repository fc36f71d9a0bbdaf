import { TesseraError } from '@tessera/core'
import type { Arithmetic } from './arithmetic.ts'
import {
  checkSteps,
  type DecayOptions,
  defineSchedule,
  linearSchedule,
  progress,
  type Schedule,
  warmUp,
} from './schedules.ts'

/** Multiplied by `factor` after every `every` steps, from `from` on: `from · factor^⌊step / every⌋`. */
export function stepSchedule({
  from,
  factor = 0.1,
  every,
}: {
  from: number
  factor?: number
  every: number
}): Schedule {
  checkSteps('stepSchedule', every)
  checkFactor('stepSchedule', factor)
  const logarithm = Math.log(factor)
  return defineSchedule((step, on) =>
    // Half a step ahead: rounding does not move the place of a change.
    on.multiply(on.exponential(on.multiply(on.floor(on.multiply(on.add(step, 0.5), 1 / every)), logarithm)), from),
  )
}

/** By the same factor at each step: `from · factor^step`. */
export function exponentialSchedule({ from, factor }: { from: number; factor: number }): Schedule {
  checkFactor('exponentialSchedule', factor)
  const logarithm = Math.log(factor)
  return defineSchedule((step, on) => on.multiply(on.exponential(on.multiply(step, logarithm)), from))
}

/** `to + (from − to) · (1 − step / steps)^power`, then constant. */
export function polynomialSchedule({ from, to = 0, steps, power = 2 }: DecayOptions & { power?: number }): Schedule {
  checkSteps('polynomialSchedule', steps)
  if (!(power > 0))
    throw new TesseraError('SCHEDULE_OPTIONS', `polynomialSchedule: power must be above 0, got ${power}.`)
  return defineSchedule((step, on) => {
    const left = on.add(on.multiply(progress(step, steps, on), -1), 1)
    return on.add(on.multiply(on.power(left, power), from - to), to)
  })
}

/**
 * In a straight line up to `peak` at step `warmUpSteps`, then `peak · √(warmUpSteps / step)` (Vaswani et al. 2017, formula 3, whose
 * peak is `1 / √(width · warmUpSteps)`).
 */
export function inverseRootSchedule({ peak, warmUpSteps }: { peak: number; warmUpSteps: number }): Schedule {
  checkSteps('inverseRootSchedule', warmUpSteps)
  return defineSchedule((step, on) =>
    on.ifLess(
      step,
      warmUpSteps,
      on.multiply(step, peak / warmUpSteps),
      on.multiply(on.power(on.maximum(step, warmUpSteps), -0.5), peak * Math.sqrt(warmUpSteps)),
    ),
  )
}

export interface WarmUpStableDecayOptions {
  readonly peak: number
  readonly minimum?: number
  readonly warmUpSteps: number
  /** Steps of the linear decay at the end. */
  readonly decaySteps: number
  /** All steps, warm-up and decay included. */
  readonly steps: number
}

/** Linear warm-up, a constant, and a linear decay at the end ("WSD", Hu et al. 2024, section 4): the length may be chosen late. */
export function warmUpStableDecay(options: WarmUpStableDecayOptions): Schedule {
  const { peak, minimum = 0, warmUpSteps, decaySteps, steps } = options
  const stable = steps - warmUpSteps - decaySteps
  if (!(stable >= 0)) {
    throw new TesseraError(
      'SCHEDULE_OPTIONS',
      `warmUpStableDecay: a warm-up of ${warmUpSteps} and a decay of ${decaySteps} are more than ${steps} steps. Train longer or shorten them.`,
    )
  }
  const decay = linearSchedule({ from: peak, to: minimum, steps: decaySteps })
  return warmUp(
    warmUpSteps,
    defineSchedule((step, on) => decay.rule(on.maximum(on.add(step, -stable), 0), on)),
  )
}

export interface OneCycleOptions {
  readonly peak: number
  /** Value at step 0; a 25th of the peak by default. */
  readonly start?: number
  /** Value at the end; a ten-thousandth of the start by default. */
  readonly minimum?: number
  readonly steps: number
  /** Part of the steps before the peak; 0.3 by default. */
  readonly rise?: number
}

/** Half a cosine up to the peak, then half a cosine down ("1cycle", Smith & Topin 2018, with PyTorch's shape and defaults). */
export function oneCycle({
  peak,
  start = peak / 25,
  minimum = start / 1e4,
  steps,
  rise = 0.3,
}: OneCycleOptions): Schedule {
  checkSteps('oneCycle', steps)
  if (!(rise > 0 && rise < 1)) {
    throw new TesseraError('SCHEDULE_OPTIONS', `oneCycle: rise must be above 0 and below 1, got ${rise}.`)
  }
  const top = steps * rise
  return defineSchedule((step, on) => {
    const up = halfWave(progress(step, top, on), start, peak, on)
    const down = halfWave(progress(on.maximum(on.add(step, -top), 0), steps - top, on), peak, minimum, on)
    return on.ifLess(step, top, up, down)
  })
}

export interface CosineRestartsOptions {
  readonly from: number
  readonly to?: number
  /** Steps of a cycle, all of the same length. */
  readonly every: number
}

/** Half a cosine from `from` to `to` again and again (Loshchilov & Hutter 2017, "SGDR", with T_mult = 1). */
export function cosineRestarts({ from, to = 0, every }: CosineRestartsOptions): Schedule {
  checkSteps('cosineRestarts', every)
  return defineSchedule((step, on) => {
    const cycle = on.floor(on.multiply(on.add(step, 0.5), 1 / every))
    const within = on.add(step, on.multiply(cycle, -every))
    return halfWave(on.multiply(within, 1 / every), from, to, on)
  })
}

/** Half a cosine from `from` where x is 0 to `to` where x is 1. */
function halfWave<Value>(x: Value, from: number, to: number, on: Arithmetic<Value>): Value {
  return on.add(on.multiply(on.add(on.cosine(on.multiply(x, Math.PI)), 1), (from - to) / 2), to)
}

function checkFactor(name: string, factor: number): void {
  if (!(factor > 0 && Number.isFinite(factor))) {
    throw new TesseraError('SCHEDULE_OPTIONS', `${name}: factor must be above 0, got ${factor}.`)
  }
}
