import type { AttentionAttributes } from './attention.ts'
import type { ConvolutionAttributes } from './convolution.ts'
import type { CrossEntropyAttributes } from './cross-entropy.ts'
import type { GeluAttributes } from './gelu.ts'
import type { LayerNormAttributes } from './layer-norm.ts'
import type { PoolingAttributes } from './pooling.ts'
import type { RandomBitsAttributes } from './random-bits.ts'
import type { SoftmaxAttributes } from './softmax.ts'

/** Ops that core defines through primitives, so that kernels can take them as a whole: one file a topic. */
export interface CompoundAttributes
  extends AttentionAttributes,
    ConvolutionAttributes,
    CrossEntropyAttributes,
    GeluAttributes,
    LayerNormAttributes,
    PoolingAttributes,
    RandomBitsAttributes,
    SoftmaxAttributes {}

/**
 * Their names, so that plugins cannot take them. The definitions stand in their files only: an application that uses none of an
 * op's functions does not carry its definition.
 */
export const compoundNames: Readonly<Record<keyof CompoundAttributes, true>> = {
  attention: true,
  attentionBackward: true,
  averagePool: true,
  averagePoolBackward: true,
  convolution: true,
  convolutionBackwardFilter: true,
  convolutionBackwardInput: true,
  crossEntropy: true,
  gelu: true,
  layerNorm: true,
  logSoftmax: true,
  maxPool: true,
  maxPoolBackward: true,
  randomBits: true,
  softmax: true,
}
