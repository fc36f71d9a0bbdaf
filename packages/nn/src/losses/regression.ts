import { type Tensor, TesseraError, where } from '@tessera/core'
import { type Reduction, reduceLosses } from './reduction.ts'

export interface LossOptions {
  readonly reduction?: Reduction
}

/** Squared differences. Shapes broadcast. */
export function meanSquaredError(predictions: Tensor, targets: Tensor, options: LossOptions = {}): Tensor {
  return reduceLosses(predictions.subtract(targets).square(), options.reduction)
}

/** Absolute differences. Shapes broadcast. */
export function meanAbsoluteError(predictions: Tensor, targets: Tensor, options: LossOptions = {}): Tensor {
  return reduceLosses(predictions.subtract(targets).abs(), options.reduction)
}

export interface HuberOptions extends LossOptions {
  /** Where the loss turns from half the square to linear. */
  readonly delta?: number
}

/** `d² / 2` where `|d| ≤ delta`, else `delta · (|d| − delta / 2)` (Huber 1964). */
export function huberLoss(predictions: Tensor, targets: Tensor, options: HuberOptions = {}): Tensor {
  const { delta = 1, reduction } = options
  if (!(delta > 0)) throw new TesseraError('LOSS_OPTIONS', `huberLoss: delta must be above 0, got ${delta}.`)
  const distance = predictions.subtract(targets).abs()
  const quadratic = distance.square().multiply(0.5)
  const linear = distance.subtract(delta / 2).multiply(delta)
  return reduceLosses(where(distance.lessEqual(delta), quadratic, linear), reduction)
}

/**
 * Huber's loss divided by its delta: `d² / (2 beta)` where `|d| < beta`, else `|d| − beta / 2` (Girshick 2015, formula 3, with beta = 1).
 */
export function smoothL1Loss(
  predictions: Tensor,
  targets: Tensor,
  { beta = 1, ...options }: LossOptions & { readonly beta?: number } = {},
): Tensor {
  return huberLoss(predictions, targets, { ...options, delta: beta }).divide(beta)
}

export interface BinaryCrossEntropyOptions extends LossOptions {
  /** Factor of the losses of positive targets, where they are rare; 1 by default. */
  readonly positiveWeight?: number | Tensor
}

/**
 * `−y log σ(z) − (1 − y) log(1 − σ(z))` for logits `z` and targets `y` from 0 to 1, in a form that does not overflow.
 */
export function binaryCrossEntropy(logits: Tensor, targets: Tensor, options: BinaryCrossEntropyOptions = {}): Tensor {
  const { positiveWeight, reduction } = options
  // log(1 + exp(z)) = max(z, 0) + log(1 + exp(−|z|))
  const correction = logits.abs().negate().exp().log1p()
  if (positiveWeight === undefined) {
    return reduceLosses(logits.maximum(0).add(correction).subtract(logits.multiply(targets)), reduction)
  }
  const positive = logits.negate().maximum(0).add(correction).multiply(targets).multiply(positiveWeight)
  const negative = logits.maximum(0).add(correction).multiply(targets.negate().add(1))
  return reduceLosses(positive.add(negative), reduction)
}
