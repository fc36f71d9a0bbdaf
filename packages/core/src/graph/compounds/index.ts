import type { AttentionAttributes } from './attention.ts'
import type { CrossEntropyAttributes } from './cross-entropy.ts'
import type { GeluAttributes } from './gelu.ts'
import type { LayerNormAttributes } from './layer-norm.ts'
import type { RandomBitsAttributes } from './random-bits.ts'
import type { SoftmaxAttributes } from './softmax.ts'

/** Ops that core defines through primitives, so that kernels can take them as a whole: one file a topic. */
export interface CompoundAttributes
  extends AttentionAttributes,
    CrossEntropyAttributes,
    GeluAttributes,
    LayerNormAttributes,
    RandomBitsAttributes,
    SoftmaxAttributes {}

/**
 * Their names, so that plugins cannot take them. The definitions stand in their files only: an application that uses none of an
 * op's functions does not carry its definition.
 */
export const compoundNames: Readonly<Record<keyof CompoundAttributes, true>> = {
  attention: true,
  attentionBackward: true,
  crossEntropy: true,
  gelu: true,
  layerNorm: true,
  logSoftmax: true,
  randomBits: true,
  softmax: true,
}
