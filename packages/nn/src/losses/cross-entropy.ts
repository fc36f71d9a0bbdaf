import { crossEntropyLosses, type Tensor, TesseraError, where } from '@tessera/core'
import { type Reduction, reduceLosses } from './reduction.ts'

export interface CrossEntropyOptions {
  readonly reduction?: Reduction
  /** Targets of this value, for example padding, have loss 0 and do not count for the mean. */
  readonly ignoreIndex?: number
  /** Part ε of the target's probability that is spread evenly over all classes (Szegedy et al. 2016, section 7). */
  readonly labelSmoothing?: number
}

/**
 * Cross-entropy of the softmax of logits with target classes, in nats. Any other target out of range makes the loss NaN.
 *
 * @param logits `[..., classes]`
 * @param targets `[...]`, i32 or u32
 * @returns a scalar, or `[...]` with reduction `none`; a mean over no targets at all is 0
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { crossEntropy } from '@tessera/nn'
 * const loss = crossEntropy(tensor([[2, 0], [0, 2]]), tensor(new Int32Array([0, 0])))
 * console.log(await loss.item()) // 1.1269
 * ```
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { reduction = 'mean', ignoreIndex, labelSmoothing = 0 } = options
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new TesseraError('LOSS_OPTIONS', `crossEntropy: labelSmoothing must be from 0 to 1, got ${labelSmoothing}.`)
  }
  const ignored = ignoreIndex === undefined ? undefined : targets.equal(ignoreIndex)
  const known = ignored ? where(ignored, 0, targets) : targets
  let losses = crossEntropyLosses(logits, known)
  if (labelSmoothing > 0) {
    const uniform = logits.logSoftmax().mean(-1).negate()
    losses = losses.multiply(1 - labelSmoothing).add(uniform.multiply(labelSmoothing))
  }
  if (!ignored) return reduceLosses(losses, reduction)
  const counted = where(ignored, 0, losses)
  if (reduction !== 'mean') return reduceLosses(counted, reduction)
  return counted.sum().divide(ignored.not().cast(losses.dtype).sum().maximum(1))
}
