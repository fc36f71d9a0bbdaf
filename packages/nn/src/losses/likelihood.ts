import type { Tensor } from '@tessera/core'
import { reduceLosses } from './reduction.ts'
import type { LossOptions } from './regression.ts'

/** Negative log-likelihoods of distributions whose parameters a model predicts, without terms that no parameter enters. */

/**
 * Counts drawn from a Poisson distribution: `e^x − y x`, where `x` is the logarithm of its mean.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { poissonLoss } from '@tessera/nn'
 * console.log(await poissonLoss(tensor([0, 1]), tensor([1, 2])).item()) // 0.859
 * ```
 */
export function poissonLoss(logMeans: Tensor, counts: Tensor, options: LossOptions = {}): Tensor {
  return reduceLosses(logMeans.exp().subtract(counts.multiply(logMeans)), options.reduction)
}

/**
 * Values drawn from normal distributions of predicted mean and variance: `½ (log v + (y − m)² / v)` (Nix & Weigend 1994). Variances below `epsilon` count as
 * `epsilon`.
 */
export function gaussianLoss(
  means: Tensor,
  targets: Tensor,
  variances: Tensor,
  options: LossOptions & { readonly epsilon?: number } = {},
): Tensor {
  const held = variances.maximum(options.epsilon ?? 1e-6)
  const losses = means.subtract(targets).square().divide(held).add(held.log()).multiply(0.5)
  return reduceLosses(losses, options.reduction)
}
