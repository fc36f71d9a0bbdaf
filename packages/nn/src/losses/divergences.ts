import { type Tensor, where } from '@tessera/core'
import { reduceLosses } from './reduction.ts'
import type { LossOptions } from './regression.ts'

/**
 * Kullback–Leibler divergence `Σ p (log p − log q)` along the last axis, in nats: how far the distribution q is from the target p.
 * What p holds impossible counts 0.
 *
 * @param logTargets log p, `[..., classes]`, for example from `logSoftmax`
 * @param logPredictions log q, `[..., classes]`
 * @returns a scalar, or `[...]` with reduction `none`; the mean is over distributions, not over classes
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { klDivergence } from '@tessera/nn'
 * const loss = klDivergence(tensor([[0.5, 0.5]]).log(), tensor([[0.25, 0.75]]).log())
 * console.log(await loss.item()) // 0.1438
 * ```
 */
export function klDivergence(logTargets: Tensor, logPredictions: Tensor, options: LossOptions = {}): Tensor {
  const possible = logTargets.greater(Number.NEGATIVE_INFINITY)
  // Masked before the product as well: 0 · (−∞) would be NaN, and so would its gradient.
  const safe = where(possible, logTargets, 0)
  const terms = safe.exp().multiply(safe.subtract(where(possible, logPredictions, 0)))
  return reduceLosses(where(possible, terms, 0).sum(-1), options.reduction)
}

/**
 * Divergence of a categorical distribution from the uniform one, `log classes − entropy`, in nats: the regulariser of a discrete
 * autoencoder whose prior is uniform (Ramesh et al. 2021, section 2.1). It takes the logits as they are: a temperature of
 * the relaxation does not belong here.
 *
 * @param logits `[..., classes]`
 * @returns a scalar, or `[...]` with reduction `none`
 */
export function klToUniform(logits: Tensor, options: LossOptions = {}): Tensor {
  const logarithms = logits.logSoftmax()
  const classes = logits.shape.at(-1) ?? 1
  return reduceLosses(logarithms.exp().multiply(logarithms).sum(-1).add(Math.log(classes)), options.reduction)
}

/**
 * `−log f(x | μ, b)` of the logit-Laplace distribution, whose support is (0, 1) as that of pixels (Ramesh et al. 2021, appendix A.3):
 *
 * `f = exp(−|logit x − μ| / b) / (2 b x (1 − x))`.
 *
 * Map pixels into its support with `toLogitLaplace`, and reconstruct them with `fromLogitLaplace`.
 *
 * @param location μ
 * @param logScale ln b
 * @param targets x, above 0 and below 1. All three broadcast.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { logitLaplaceLoss } from '@tessera/nn'
 * console.log(await logitLaplaceLoss(tensor([0]), tensor([0]), tensor([0.5])).item()) // -0.6931
 * ```
 */
export function logitLaplaceLoss(
  location: Tensor,
  logScale: Tensor,
  targets: Tensor,
  options: LossOptions = {},
): Tensor {
  const logTarget = targets.log()
  const logRest = targets.negate().log1p()
  const distance = logTarget.subtract(logRest).subtract(location).abs().multiply(logScale.negate().exp())
  const losses = distance.add(logScale).add(Math.LN2).add(logTarget).add(logRest)
  return reduceLosses(losses, options.reduction)
}

/** Where a pixel of 0 lies in the support of the logit-Laplace distribution (Ramesh et al. 2021, appendix A.3). */
const margin = 0.1

/** Pixels from 0 to 1 as targets of `logitLaplaceLoss`, from 0.1 to 0.9: `(1 − 2ε) x + ε`. */
export function toLogitLaplace(pixels: Tensor): Tensor {
  return pixels.multiply(1 - 2 * margin).add(margin)
}

/** Pixels from 0 to 1 of the location μ that a model predicts: the inverse of `toLogitLaplace` of `σ(μ)`, cut off at 0 and 1. */
export function fromLogitLaplace(location: Tensor): Tensor {
  return location
    .sigmoid()
    .subtract(margin)
    .divide(1 - 2 * margin)
    .maximum(0)
    .minimum(1)
}
