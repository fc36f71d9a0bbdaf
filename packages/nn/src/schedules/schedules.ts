import { type Tensor, TesseraError } from '@tessera/core'
import { type Arithmetic, onNumbers, onTensors } from './arithmetic.ts'

/** A schedule's formula: written once, evaluated on numbers and on tensors. */
export type ScheduleRule = <Value>(step: Value, on: Arithmetic<Value>) => Value

/**
 * A learning rate as a function of the number of the update, counted from 1: the first update uses `schedule(1)`.
 * Call it on a tensor inside a program; `at` gives the same as a number for displays.
 */
export interface Schedule {
  /** @param step scalar of any number format */
  (step: Tensor): Tensor
  at(step: number): number
  readonly rule: ScheduleRule
}

/**
 * Makes a schedule of a formula.
 *
 * @example
 * ```ts
 * import { defineSchedule } from '@tessera/nn'
 * // Vaswani et al. 2017, section 5.3, without warm-up: 1 / √step.
 * const inverseRoot = defineSchedule((step, on) => on.power(step, -0.5))
 * console.log(inverseRoot.at(4)) // 0.5
 * ```
 */
export function defineSchedule(rule: ScheduleRule): Schedule {
  return Object.assign((step: Tensor) => rule(step.cast('f32'), onTensors), {
    at: (step: number) => rule(step, onNumbers),
    rule,
  })
}

/** The same value at every step. */
export function constantSchedule(value: number): Schedule {
  return defineSchedule((_, on) => on.constant(value))
}

export interface DecayOptions {
  /** Value at step 0. */
  readonly from: number
  /** Value from step `steps` on; 0 by default. */
  readonly to?: number
  readonly steps: number
}

/** In a straight line from `from` at step 0 to `to` at step `steps`, then constant. */
export function linearSchedule({ from, to = 0, steps }: DecayOptions): Schedule {
  checkSteps('linearSchedule', steps)
  return defineSchedule((step, on) => on.add(on.multiply(progress(step, steps, on), to - from), from))
}

/**
 * Along half a cosine from `from` at step 0 to `to` at step `steps`, then constant (Loshchilov & Hutter 2017, "SGDR", formula 5):
 * `to + (from − to) · (1 + cos(π · step / steps)) / 2`.
 */
export function cosineSchedule({ from, to = 0, steps }: DecayOptions): Schedule {
  checkSteps('cosineSchedule', steps)
  return defineSchedule((step, on) => {
    const wave = on.cosine(on.multiply(progress(step, steps, on), Math.PI))
    return on.add(on.multiply(on.add(wave, 1), (from - to) / 2), to)
  })
}

/** In a straight line from 0 at step 0 to the first value of another schedule at step `steps`, which then begins. */
export function warmUp(steps: number, then: Schedule): Schedule {
  if (steps === 0) return then
  checkSteps('warmUp', steps)
  const peak = then.at(0)
  return defineSchedule((step, on) =>
    on.ifLess(step, steps, on.multiply(step, peak / steps), then.rule(on.maximum(on.add(step, -steps), 0), on)),
  )
}

export interface WarmUpCosineOptions {
  readonly peak: number
  /** Value at the end; GPT-3 uses a tenth of the peak. */
  readonly minimum?: number
  readonly warmUpSteps: number
  /** Steps until the minimum is reached, warm-up included. */
  readonly steps: number
}

/**
 * Linear warm-up, then half a cosine down to a minimum: the schedule of GPT-3 (Brown et al. 2020, appendix B).
 *
 * @example
 * ```ts
 * import { warmUpCosine } from '@tessera/nn'
 * const schedule = warmUpCosine({ peak: 1e-3, minimum: 1e-4, warmUpSteps: 100, steps: 2000 })
 * console.log(schedule.at(50), schedule.at(100), schedule.at(1050), schedule.at(2000)) // 0.0005 0.001 0.00055 0.0001
 * ```
 */
export function warmUpCosine({ peak, minimum = 0, warmUpSteps, steps }: WarmUpCosineOptions): Schedule {
  if (!(steps > warmUpSteps)) {
    throw new TesseraError(
      'SCHEDULE_OPTIONS',
      `warmUpCosine: ${steps} steps leave nothing after a warm-up of ${warmUpSteps}. Train longer or shorten the warm-up.`,
    )
  }
  return warmUp(warmUpSteps, cosineSchedule({ from: peak, to: minimum, steps: steps - warmUpSteps }))
}

/** Part of `steps` that lies behind, up to 1. */
export function progress<Value>(step: Value, steps: number, on: Arithmetic<Value>): Value {
  return on.minimum(on.multiply(step, 1 / steps), 1)
}

export function checkSteps(name: string, steps: number): void {
  if (!(Number.isFinite(steps) && steps > 0)) {
    throw new TesseraError('SCHEDULE_OPTIONS', `${name}: steps must be above 0, got ${steps}.`)
  }
}
