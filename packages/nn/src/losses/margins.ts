import { range, type Tensor, where } from '@tessera/core'
import { reduceLosses } from './reduction.ts'
import type { LossOptions } from './regression.ts'

export interface HingeOptions extends LossOptions {
  /** Distance from which a score on the right side costs nothing; 1 by default. */
  readonly margin?: number
  /** Whether the distance counts squared. */
  readonly squared?: boolean
}

/**
 * `max(0, margin − y s)` for scores s and targets y of −1 or 1 (Cortes & Vapnik 1995). Shapes broadcast.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { hingeLoss } from '@tessera/nn'
 * const losses = hingeLoss(tensor([2, 0.5, -1]), tensor([1, 1, 1]), { reduction: 'none' })
 * console.log(await losses.data()) // 0, 0.5, 2
 * ```
 */
export function hingeLoss(scores: Tensor, targets: Tensor, options: HingeOptions = {}): Tensor {
  const distance = scores
    .multiply(targets)
    .negate()
    .add(options.margin ?? 1)
    .maximum(0)
  return reduceLosses(options.squared ? distance.square() : distance, options.reduction)
}

/**
 * The largest amount by which a wrong class comes within the margin of the right one, `max(0, margin + max s_wrong − s_right)` (Crammer & Singer
 * 2001).
 *
 * @param scores `[..., classes]`
 * @param targets `[...]`, i32 or u32
 * @returns a scalar, or `[...]` with reduction `none`
 */
export function multiclassHingeLoss(scores: Tensor, targets: Tensor, options: HingeOptions = {}): Tensor {
  const isTarget = range(scores.shape.at(-1)!).equal(targets.unsqueeze(-1))
  const right = where(isTarget, scores, 0).sum(-1)
  const wrong = where(isTarget, Number.NEGATIVE_INFINITY, scores).max(-1)
  const distance = wrong
    .subtract(right)
    .add(options.margin ?? 1)
    .maximum(0)
  return reduceLosses(options.squared ? distance.square() : distance, options.reduction)
}

/**
 * `max(0, margin + |anchor − positive| − |anchor − negative|)`, with Euclidean distances along the last axis (Schroff et al. 2015, formula 1, without the
 * squares, as in PyTorch).
 *
 * @param anchor `[..., channels]`, as the others
 * @returns a scalar, or `[...]` with reduction `none`
 */
export function tripletLoss(anchor: Tensor, positive: Tensor, negative: Tensor, options: HingeOptions = {}): Tensor {
  // The small number gives the root a gradient at 0.
  const distance = (other: Tensor) => anchor.subtract(other).square().sum(-1).add(1e-12).sqrt()
  const excess = distance(positive)
    .subtract(distance(negative))
    .add(options.margin ?? 1)
    .maximum(0)
  return reduceLosses(options.squared ? excess.square() : excess, options.reduction)
}

/** `max(0, margin − y (a − b))`: the first score is to be the larger one where y is 1, the smaller one where it is −1. The margin is 0 by default. */
export function rankingLoss(a: Tensor, b: Tensor, targets: Tensor, options: HingeOptions = {}): Tensor {
  return hingeLoss(a.subtract(b), targets, { ...options, margin: options.margin ?? 0 })
}
