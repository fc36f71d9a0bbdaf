import { type Tensor, tensor } from '@tessera/core'
import type { Gpt, TokenBatch } from '@tessera/models-gpt'
import { crossEntropy } from '@tessera/nn'

/** Sequences, and the token after each of their tokens, both i32 `[batch, time]`. */
export interface GptBatch {
  readonly tokens: Tensor
  readonly targets: Tensor
}

export function toTensors({ shape, inputs, targets }: TokenBatch): GptBatch {
  return { tokens: tensor(inputs, shape), targets: tensor(targets, shape) }
}

/** Mean cross-entropy of the next token in nats. */
export function gptLoss(model: Gpt, { tokens, targets }: GptBatch): Tensor {
  return crossEntropy(model.forward(tokens), targets)
}
