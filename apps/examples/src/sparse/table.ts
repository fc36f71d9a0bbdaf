import { written } from '../formats/figures.ts'
import type { RunResult } from './run.ts'

export interface AttentionRun extends Omit<RunResult, 'model'> {
  readonly attention: string
  readonly seed: number
  /** Most memory of the device during the run. */
  readonly peakBytes: number
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** A table in Markdown: one row for each kind of attention, 95 % intervals over the seeds, and the difference to dense attention with the same seeds. */
export function attentionTable(runs: readonly AttentionRun[], metric: string): string {
  const complete = runs.filter(({ interrupted }) => !interrupted)
  const header = ['attention', 'seeds', metric, 'less dense', 'steps', 'ms a step', 'seconds', 'MiB']
  const rows = [...new Set(complete.map(({ attention }) => attention))].map((attention) => {
    const own = complete.filter((run) => run.attention === attention)
    const differences = own.flatMap(({ seed, bits }) => {
      const dense = complete.find((run) => run.attention === 'dense' && run.seed === seed)
      return dense && attention !== 'dense' ? [bits - dense.bits] : []
    })
    return [
      attention,
      String(own.length),
      written(own.map(({ bits }) => bits)),
      differences.length > 0 ? written(differences) : '',
      mean(own.map(({ steps }) => steps)).toFixed(0),
      mean(own.map(({ millisecondsPerStep }) => millisecondsPerStep)).toFixed(0),
      mean(own.map(({ seconds }) => seconds)).toFixed(0),
      (Math.max(...own.map(({ peakBytes }) => peakBytes)) / 2 ** 20).toFixed(0),
    ]
  })
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}
