import { crossEntropy } from '../graph/compounds/cross-entropy.ts'
import { createNode } from '../graph/node.ts'
import { Tensor } from './tensor.ts'

/**
 * Loss of each target in nats: `−log softmax(logits)[target]`. A target out of range gives NaN.
 *
 * @param logits `[..., classes]`
 * @param targets `[...]`, i32 or u32
 */
export function crossEntropyLosses(logits: Tensor, targets: Tensor): Tensor {
  return new Tensor(createNode(crossEntropy, [logits.node, targets.node], {}))
}
