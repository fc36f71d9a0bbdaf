/** What one step of training gave. */
export interface StepRecord {
  /** Updates made so far, this one included: the first is 1. */
  readonly step: number
  /** Of the step's batch, before the update. */
  readonly loss: number
  readonly learningRate: number
  /** Global norm of the gradients before clipping; 0 when gradients overflowed and the update was left out. */
  readonly gradientNorm: number
  readonly milliseconds: number
}

/** What one evaluation gave. */
export interface EvaluationRecord {
  /** Updates made so far. */
  readonly step: number
  /** Mean over the evaluation's batches. */
  readonly loss: number
}

/** The course of a run, for figures. */
export interface History {
  readonly steps: readonly StepRecord[]
  readonly evaluations: readonly EvaluationRecord[]
}

/** A history by columns, which takes less room as JSON. */
export type HistoryColumns = Readonly<Record<string, readonly number[]>>

const stepColumns = ['step', 'loss', 'learningRate', 'gradientNorm', 'milliseconds'] as const

export function toColumns(history: History): HistoryColumns {
  const rounded = (value: number) => Number(value.toPrecision(7))
  const columns = stepColumns.map((name) => [name, history.steps.map((record) => rounded(record[name]))] as const)
  return {
    ...Object.fromEntries(columns),
    evaluationStep: history.evaluations.map(({ step }) => step),
    evaluationLoss: history.evaluations.map(({ loss }) => rounded(loss)),
  }
}

/** The inverse of `toColumns`; `undefined` for anything else. */
export function fromColumns(columns: unknown): History | undefined {
  if (typeof columns !== 'object' || columns === null) return undefined
  const table = columns as HistoryColumns
  const names = [...stepColumns, 'evaluationStep', 'evaluationLoss']
  if (!names.every((name) => Array.isArray(table[name]))) return undefined
  return {
    steps: table.step!.map((step, i) => ({
      step,
      loss: table.loss![i]!,
      learningRate: table.learningRate![i]!,
      gradientNorm: table.gradientNorm![i]!,
      milliseconds: table.milliseconds![i]!,
    })),
    evaluations: table.evaluationStep!.map((step, i) => ({ step, loss: table.evaluationLoss![i]! })),
  }
}

/** The middle one of values in order, or the mean of the two middle ones; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
