import { TesseraError } from '@tessera/core'
import type { EvaluationRecord, StepRecord } from './history.ts'

/** Stops a run whose figures are not numbers any more. */
export function checkFinite(
  record: StepRecord | EvaluationRecord,
  last: StepRecord | undefined,
  saved: { readonly location: string; readonly step: number } | undefined,
): void {
  const { step, loss } = record
  const isStep = 'gradientNorm' in record
  if (Number.isFinite(loss) && (!isStep || Number.isFinite(record.gradientNorm))) return
  const what = isStep
    ? `the loss is ${loss}, the gradient norm ${record.gradientNorm}, at a learning rate of ${record.learningRate}`
    : `the validation loss is ${loss}`
  const before = last
    ? `The last finite values, at step ${last.step}: loss ${last.loss.toPrecision(5)}, gradient norm ${last.gradientNorm.toPrecision(3)}.`
    : 'No step was finite before: look for bad values in the data and in the first weights, and for targets out of range.'
  const rescue =
    saved && saved.step > 0
      ? ` The checkpoint of step ${saved.step} in ${saved.location} is intact: resume from it.`
      : ''
  throw new TesseraError(
    'NOT_FINITE',
    `Training stopped at step ${step}: ${what}. ${before} Lower the learning rate, warm up longer, or clip the gradients.${rescue}`,
  )
}
