import { TesseraError } from '@tessera/core'
import type { LossScale } from '../loss-scaling/loss-scale.ts'
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

/** Stops a run whose gradients overflow although the loss scale cannot be reduced any more. */
export function checkScale(step: number, scale: number, { minimum }: LossScale): void {
  if (scale > minimum) return
  throw new TesseraError(
    'NOT_FINITE',
    `Training stopped at step ${step}: gradients are not finite although the loss scale is at its minimum of ${minimum}. ` +
      'Look for bad values in the data, lower the learning rate, or compute the layers that overflow in f32.',
  )
}
