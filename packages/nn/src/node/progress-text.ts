import type { EvaluationRecord, StepRecord } from '../trainer/history.ts'
import type { Progress } from '../trainer/observer.ts'

/** What a display knows of a run. */
export interface RunFigures {
  readonly progress: Progress
  readonly step?: StepRecord | undefined
  readonly evaluation?: EvaluationRecord | undefined
  /** What speeds count; `tokens` by default. */
  readonly unit?: string | undefined
}

/** `2 h 5 m`, `1 m 24 s`, `9 s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} m`
}

/** Loss, validation loss, learning rate, gradient norm and speed: those that are known. */
export function formatFigures({ progress, step, evaluation, unit = 'tokens' }: RunFigures): string[] {
  const figures: string[] = []
  if (step) figures.push(`loss ${formatLoss(step.loss)}`)
  if (evaluation) figures.push(`validation ${formatLoss(evaluation.loss)}`)
  if (step) figures.push(`rate ${formatRate(step.learningRate)}`, `norm ${step.gradientNorm.toPrecision(3)}`)
  if (progress.tokensPerSecond !== undefined) {
    figures.push(`${Math.round(progress.tokensPerSecond).toLocaleString('en')} ${unit}/s`)
  }
  return figures
}

/** Four decimal places, or the exponent of what they would not show. */
function formatLoss(loss: number): string {
  return loss !== 0 && Math.abs(loss) < 0.001 ? loss.toExponential(2) : loss.toFixed(4)
}

/** A learning rate in three digits, `6.00e-4`, or as it is when it is short. */
function formatRate(rate: number): string {
  const short = String(Number(rate.toPrecision(3)))
  return short.length <= 6 ? short : rate.toExponential(2)
}

/** `31 %`; 100 only at the end. */
export function formatPercentage({ step, steps }: Progress): string {
  return `${Math.floor((100 * step) / steps)} %`
}

/** A bar of a width in characters, in its two parts. */
export function formatBar({ step, steps }: Progress, width: number): { readonly done: string; readonly left: string } {
  const filled = Math.floor((width * step) / steps)
  return { done: '━'.repeat(filled), left: '─'.repeat(width - filled) }
}

/** One line for logs. */
export function formatLine(figures: RunFigures): string {
  const { progress } = figures
  const ended = progress.step === progress.steps
  const left = ended || progress.secondsLeft === undefined ? [] : [`${formatDuration(progress.secondsLeft)} left`]
  const percentage = formatPercentage(progress)
  return [`step ${progress.step}/${progress.steps} (${percentage})`, ...formatFigures(figures), ...left].join(', ')
}
