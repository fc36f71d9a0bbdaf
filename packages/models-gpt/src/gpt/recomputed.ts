import { checkpoint, type Tensor } from '@tessera/core'
import type { Dropout } from '@tessera/nn'

/** A block whose inside the backward pass computes again (Chen et al. 2016). Keys of dropout move on outside, as state. */
export function recomputed(block: DropoutBlock, x: Tensor): Tensor {
  const dropouts = [block.attentionDropout, block.feedForwardDropout].filter((dropout) => dropout !== undefined)
  const run = checkpoint((x: Tensor, keys: readonly Tensor[]) => {
    dropouts.forEach((dropout, i) => {
      dropout.key = keys[i]!
    })
    const y = block.forward(x)
    return { y, keys: dropouts.map(({ key }) => key) }
  })
  const { y, keys } = run(
    x,
    dropouts.map(({ key }) => key),
  )
  dropouts.forEach((dropout, i) => {
    dropout.key = keys[i]!
  })
  return y
}

interface DropoutBlock {
  readonly attentionDropout: Dropout | undefined
  readonly feedForwardDropout: Dropout | undefined
  forward(x: Tensor): Tensor
}
