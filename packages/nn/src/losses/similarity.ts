import { norm, range, type Tensor, TesseraError } from '@tessera/core'
import { crossEntropy } from './cross-entropy.ts'
import { reduceLosses } from './reduction.ts'
import type { LossOptions } from './regression.ts'

/** Divided by its Euclidean length along an axis; lengths below `epsilon` count as `epsilon`, so that 0 stays 0. */
export function normalizeLength(x: Tensor, axis = -1, epsilon = 1e-12): Tensor {
  // The root of something above 0 has a gradient also where x is 0.
  return x.divide(
    x
      .square()
      .sum(axis, { keepDims: true })
      .maximum(epsilon ** 2)
      .sqrt(),
  )
}

/**
 * Cosine of the angle between vectors, from −1 to 1.
 *
 * @param a `[..., channels, ...]`; both broadcast
 * @param axis of the channels, removed
 */
export function cosineSimilarity(a: Tensor, b: Tensor, axis = -1): Tensor {
  return normalizeLength(a, axis).multiply(normalizeLength(b, axis)).sum(axis)
}

export interface CosineLossOptions extends LossOptions {
  /** Cosine below which pairs that do not belong together cost nothing; 0 by default. */
  readonly margin?: number
}

/**
 * `1 − cos` for pairs that belong together, `max(0, cos − margin)` for others.
 *
 * @param a `[..., channels]`
 * @param b `[..., channels]`
 * @param targets `[...]`: 1 for pairs that belong together, −1 for others
 */
export function cosineLoss(a: Tensor, b: Tensor, targets: Tensor, options: CosineLossOptions = {}): Tensor {
  const cosine = cosineSimilarity(a, b)
  const together = targets.greater(0).cast(cosine.dtype)
  const attraction = cosine.negate().add(1)
  const repulsion = cosine.subtract(options.margin ?? 0).maximum(0)
  return reduceLosses(
    attraction.multiply(together).add(repulsion.multiply(together.negate().add(1))),
    options.reduction,
  )
}

export interface ContrastiveOptions {
  readonly reduction?: LossOptions['reduction']
  /**
   * Factor of the cosines, one over the temperature; 1 / 0.07 by default. CLIP learns its logarithm: pass `logScale.exp()`, limited to
   * 100.
   */
  readonly scale?: number | Tensor
  /** Whether the second vectors are to find their first ones as well; true by default, as in CLIP. */
  readonly symmetric?: boolean
}

/**
 * InfoNCE (van den Oord et al. 2018, formula 4) within a batch: vector `i` of the one side is to recognise vector `i` of the other
 * among all of them by the cosine. Symmetric, it is the loss of CLIP (Radford et al. 2021, figure 3).
 *
 * @param a `[batch, channels]`, of any length
 * @param b `[batch, channels]`
 * @returns a scalar, or `[batch]` with reduction `none`
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { contrastiveLoss } from '@tessera/nn'
 * const images = tensor([[1, 0], [0, 2]])
 * const texts = tensor([[3, 0], [0, 1]])
 * console.log(await contrastiveLoss(images, texts, { scale: 1 }).item()) // 0.3133
 * ```
 */
export function contrastiveLoss(a: Tensor, b: Tensor, options: ContrastiveOptions = {}): Tensor {
  const { reduction, scale = 1 / 0.07, symmetric = true } = options
  if (a.rank !== 2 || a.shape.join() !== b.shape.join()) {
    throw new TesseraError(
      'LOSS_SHAPE',
      `contrastiveLoss: takes two tensors [batch, channels] of one shape, got ${a} and ${b}.`,
    )
  }
  const logits = normalizeLength(a).matmul(normalizeLength(b).transpose()).multiply(scale)
  const targets = range(a.shape[0]!)
  const there = crossEntropy(logits, targets, { reduction: 'none' })
  if (!symmetric) return reduceLosses(there, reduction)
  const back = crossEntropy(logits.transpose(), targets, { reduction: 'none' })
  return reduceLosses(there.add(back).multiply(0.5), reduction)
}

/** The p-norm of the differences along the last axis; `epsilon` is added to each, as in PyTorch, so that equal vectors have a gradient. */
export function pairwiseDistance(a: Tensor, b: Tensor, order = 2, epsilon = 1e-6): Tensor {
  return norm(a.subtract(b).add(epsilon), order, -1)
}
