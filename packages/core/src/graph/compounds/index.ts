import type { OpDefinition } from '../../plugin/contract.ts'
import { type AttentionAttributes, attention } from './attention.ts'
import { type CrossEntropyAttributes, crossEntropy } from './cross-entropy.ts'
import { type GeluAttributes, gelu } from './gelu.ts'
import { type LayerNormAttributes, layerNorm } from './layer-norm.ts'
import { type RandomBitsAttributes, randomBits } from './random-bits.ts'
import { logSoftmax, type SoftmaxAttributes, softmax } from './softmax.ts'

/** Ops that core defines through primitives, so that kernels can take them as a whole: one file a topic. */
export interface CompoundAttributes
  extends AttentionAttributes,
    CrossEntropyAttributes,
    GeluAttributes,
    LayerNormAttributes,
    RandomBitsAttributes,
    SoftmaxAttributes {}

/** The compound ops of core. */
export const compounds: { readonly [Op in keyof CompoundAttributes]: OpDefinition<Op> } = {
  attention,
  crossEntropy,
  gelu,
  layerNorm,
  logSoftmax,
  randomBits,
  softmax,
}
