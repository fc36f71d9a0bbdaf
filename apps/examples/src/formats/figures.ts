import type { FormatFigures } from './policy.ts'
import type { TaskResult } from './task.ts'

export interface Run extends TaskResult, FormatFigures {
  readonly format: string
  readonly seed: number
}

/** Mean loss over the last tenth of the steps. */
export function finalLoss({ losses }: Pick<Run, 'losses'>): number {
  const last = losses.slice(-Math.max(1, Math.floor(losses.length / 10)))
  return last.reduce((sum, loss) => sum + loss, 0) / last.length
}

/** 97.5 % quantiles of Student's distribution, by degrees of freedom from 1. */
const quantiles = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]

/** Mean and half the width of its 95 % interval; no width with one value. */
export function interval(values: readonly number[]): { mean: number; half: number | undefined } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  if (values.length < 2) return { mean, half: undefined }
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  const quantile = quantiles[values.length - 2] ?? 1.96
  return { mean, half: quantile * Math.sqrt(variance / values.length) }
}

/** A table in Markdown: one row for each format, intervals over the seeds, and the difference to f32 with the same seeds. */
export function formatTable(runs: readonly Run[], metric: string): string {
  const header = [
    'format',
    'seeds',
    'final loss',
    metric,
    `${metric}, less f32`,
    'overflows',
    'bits used',
    'gradients flushed',
  ]
  const rows = [...new Set(runs.map(({ format }) => format))].map((format) => {
    const own = runs.filter((run) => run.format === format)
    const pairs = own.flatMap((run) => {
      const plain = runs.find((other) => other.format === 'f32' && other.seed === run.seed)
      return plain && format !== 'f32' ? [run.metric - plain.metric] : []
    })
    const share = (value: (run: Run) => number | undefined) => {
      const known = own.map(value).filter((x) => x !== undefined)
      return known.length > 0 ? `${(100 * interval(known).mean).toPrecision(2)} %` : ''
    }
    const bits = own.map(({ usedBits }) => usedBits).filter((x) => x !== undefined)
    return [
      format,
      String(own.length),
      written(own.map(finalLoss)),
      written(own.map((run) => run.metric)),
      pairs.length > 0 ? written(pairs) : '',
      share(({ overflowShare }) => overflowShare),
      bits.length > 0 ? interval(bits).mean.toFixed(1) : '',
      share(({ flushedGradients }) => flushedGradients),
    ]
  })
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

/** A mean with its interval, as text. */
export function written(values: readonly number[]): string {
  const { mean, half } = interval(values)
  return half === undefined ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${half.toFixed(4)}`
}
