import type { Tensor } from '@tessera/core'

/** What becomes of the losses of the elements: their mean (the default), their sum, or each for itself. */
export type Reduction = 'mean' | 'sum' | 'none'

export function reduceLosses(losses: Tensor, reduction: Reduction = 'mean'): Tensor {
  if (reduction === 'none') return losses
  return reduction === 'sum' ? losses.sum() : losses.mean()
}
