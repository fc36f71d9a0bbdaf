import type { AttentionAttributes } from './attention.ts'
import type { ConvolutionAttributes } from './convolution.ts'
import type { CrossEntropyAttributes } from './cross-entropy.ts'
import type { CumulativeAttributes } from './cumulative.ts'
import type { ErrorFunctionAttributes } from './error-functions.ts'
import type { GammaFunctionAttributes } from './gamma-functions.ts'
import type { GeluAttributes } from './gelu.ts'
import type { HyperbolicAttributes } from './hyperbolic.ts'
import type { InverseTrigonometricAttributes } from './inverse-trigonometric.ts'
import type { LayerNormAttributes } from './layer-norm.ts'
import type { MatrixAttributes } from './matrices.ts'
import type { PoolingAttributes } from './pooling.ts'
import type { QuantizedMatmulAttributes } from './quantized-matmul.ts'
import type { RandomBitsAttributes } from './random-bits.ts'
import type { SingularValueAttributes } from './singular-values.ts'
import type { SoftmaxAttributes } from './softmax.ts'
import type { SortAttributes } from './sort.ts'
import type { WidenedMatmulAttributes } from './widened-matmul.ts'

/** Ops that core defines through primitives, so that kernels can take them as a whole: one file a topic. */
export interface CompoundAttributes
  extends AttentionAttributes,
    ConvolutionAttributes,
    CrossEntropyAttributes,
    CumulativeAttributes,
    ErrorFunctionAttributes,
    GammaFunctionAttributes,
    GeluAttributes,
    HyperbolicAttributes,
    InverseTrigonometricAttributes,
    LayerNormAttributes,
    MatrixAttributes,
    PoolingAttributes,
    QuantizedMatmulAttributes,
    RandomBitsAttributes,
    SingularValueAttributes,
    SoftmaxAttributes,
    SortAttributes,
    WidenedMatmulAttributes {}

/**
 * Their names, so that plugins cannot take them. The definitions stand in their files only: an application that uses none of an
 * op's functions does not carry its definition.
 */
export const compoundNames: Readonly<Record<keyof CompoundAttributes, true>> = {
  arcCosine: true,
  arcSine: true,
  arcTangent: true,
  arcTangentOfQuotient: true,
  argSort: true,
  attention: true,
  attentionBackward: true,
  averagePool: true,
  averagePoolBackward: true,
  convolution: true,
  convolutionBackwardFilter: true,
  convolutionBackwardInput: true,
  complementaryErrorFunction: true,
  crossEntropy: true,
  cumulative: true,
  digamma: true,
  gelu: true,
  hyperbolicCosine: true,
  hyperbolicSine: true,
  inverseErrorFunction: true,
  inverseHyperbolicCosine: true,
  inverseHyperbolicSine: true,
  inverseHyperbolicTangent: true,
  layerNorm: true,
  logGamma: true,
  logSoftmax: true,
  cholesky: true,
  triangularSolve: true,
  orthonormalBasis: true,
  maxPool: true,
  maxPoolBackward: true,
  quantizedMatmul: true,
  randomBits: true,
  singularValues: true,
  softmax: true,
  trigamma: true,
  widenedMatmul: true,
}
