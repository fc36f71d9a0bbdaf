import type { Progress } from './observer.ts'

/** Steps that the speed on display looks back on. */
const window = 20
/** How long a run may keep the event loop to itself, so that signals and timers are noticed, in milliseconds. */
const breath = 100

/**
 * Times steps from the begin of one to the begin of the next, or to a pause. That is right both for devices that compute
 * while they are called and for those that compute on the side, as figures are read one step late.
 */
export class StepClock {
  readonly #first: number
  readonly #steps: number
  readonly #tokensPerStep: number | undefined
  readonly #durations: number[] = []
  #began: number | undefined
  #steadySince: number | undefined
  #lastBreath = performance.now()

  constructor(first: number, steps: number, tokensPerStep: number | undefined) {
    this.#first = first
    this.#steps = steps
    this.#tokensPerStep = tokensPerStep
  }

  begin(): void {
    this.pause()
    this.#began = performance.now()
  }

  /** Ends the step under way, if one is. What follows is not counted. */
  pause(): void {
    if (this.#began === undefined) return
    const now = performance.now()
    this.#durations.push(now - this.#began)
    this.#steadySince ??= now
    this.#began = undefined
  }

  /** Duration of a step by its number; of the step under way until now. */
  millisecondsOf(step: number): number {
    const duration = this.#durations[step - 1 - this.#first]
    return duration ?? performance.now() - (this.#began ?? performance.now())
  }

  /** Durations of all steps but the first, which includes compilation. */
  steady(): readonly number[] {
    return this.#durations.slice(1)
  }

  progress(step: number): Progress {
    const known = this.#durations.slice(1).slice(-window)
    const mean = known.reduce((total, duration) => total + duration, 0) / known.length
    const since = this.#steadySince
    const steadySteps = step - this.#first - 1
    return {
      step,
      steps: this.#steps,
      tokensPerSecond:
        this.#tokensPerStep === undefined || known.length === 0 ? undefined : (1000 * this.#tokensPerStep) / mean,
      secondsLeft:
        since === undefined || steadySteps < 1
          ? undefined
          : ((performance.now() - since) / steadySteps / 1000) * (this.#steps - step),
    }
  }

  /** Gives the event loop a turn when it had none for a while: a device that computes at once would never let it run. */
  async letOthersRun(): Promise<void> {
    if (performance.now() - this.#lastBreath < breath) return
    await new Promise<void>((resolve) => setTimeout(resolve))
    this.#lastBreath = performance.now()
  }
}
