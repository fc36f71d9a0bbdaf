import type { WriteStream } from 'node:tty'
import { createLogUpdate } from 'log-update'
import type { EvaluationRecord, StepRecord } from '../trainer/history.ts'
import type { Progress, TrainingObserver } from '../trainer/observer.ts'
import {
  formatBar,
  formatDuration,
  formatFigures,
  formatLine,
  formatPercentage,
  type RunFigures,
} from './progress-text.ts'

export interface TerminalProgressOptions {
  /** Where to draw; standard error by default, so that standard output stays for results. */
  readonly stream?: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'hasColors'>>
  /** Stands before the bar. */
  readonly title?: string
  /** What `tokensPerStep` counts, for the speed; `tokens` by default. */
  readonly unit?: string
}

/** Milliseconds between two drawings of the bar. */
const redrawEvery = 100
/** Milliseconds between two lines where there is no terminal. */
const lineEvery = 10_000
const barWidth = { least: 10, most: 40 }

/**
 * Shows a run in the terminal: a bar with the time left, and below it loss, validation loss, learning rate, gradient norm and
 * speed. Where the output is not a terminal, plain lines: one every ten seconds, one for each evaluation, one at the end.
 */
export function terminalProgress(options: TerminalProgressOptions = {}): TrainingObserver {
  const { stream = process.stderr, title = 'training', unit } = options
  return stream.isTTY ? drawnProgress(stream, title, unit) : printedProgress(stream, unit)
}

function drawnProgress(
  stream: NonNullable<TerminalProgressOptions['stream']>,
  title: string,
  unit: string | undefined,
): TrainingObserver {
  const screen = createLogUpdate(stream)
  let step: StepRecord | undefined
  let evaluation: EvaluationRecord | undefined
  let drawnAt = Number.NEGATIVE_INFINITY
  let latest: Progress | undefined
  const draw = () => {
    if (latest) screen(drawing({ progress: latest, step, evaluation, unit }, title, stream))
    drawnAt = performance.now()
  }
  return {
    onStep: (record, progress) => {
      step = record
      latest = progress
      if (performance.now() - drawnAt >= redrawEvery) draw()
    },
    onEvaluation: (record, progress) => {
      evaluation = record
      latest = progress
      draw()
    },
    onEnd: () => {
      draw()
      screen.done()
    },
  }
}

function drawing(figures: RunFigures, title: string, stream: NonNullable<TerminalProgressOptions['stream']>): string {
  const { progress } = figures
  const paint = (text: string, code: number) => (stream.hasColors?.() ? `\u001b[${code}m${text}\u001b[39m` : text)
  const left =
    progress.secondsLeft === undefined || progress.step === progress.steps
      ? ''
      : `  ${formatDuration(progress.secondsLeft)} left`
  const count = `${progress.step}/${progress.steps}  ${formatPercentage(progress)}${left}`
  const room = (stream.columns ?? 80) - title.length - count.length - 6
  const { done, left: rest } = formatBar(progress, Math.max(barWidth.least, Math.min(barWidth.most, room)))
  const indent = ' '.repeat(title.length + 2)
  return `${title}  ${paint(done, 36)}${paint(rest, 90)}  ${count}\n${indent}${formatFigures(figures).join(paint(' · ', 90))}`
}

function printedProgress(stream: NodeJS.WritableStream, unit: string | undefined): TrainingObserver {
  let figures: RunFigures | undefined
  let printedStep: number | undefined
  let printedAt = performance.now()
  const print = () => {
    if (!figures) return
    stream.write(`${formatLine(figures)}\n`)
    printedStep = figures.progress.step
    printedAt = performance.now()
  }
  return {
    onStep: (step, progress) => {
      figures = { ...figures, step, progress, unit }
      if (performance.now() - printedAt >= lineEvery) print()
    },
    onEvaluation: (evaluation, progress) => {
      figures = { ...figures, evaluation, progress, unit }
      print()
    },
    onEnd: () => {
      if (figures?.progress.step !== printedStep) print()
    },
  }
}
