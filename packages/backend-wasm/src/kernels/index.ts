import type { Kernel } from '@tessera/core'
import { attentionBackwardKernel, attentionKernel } from './attention.ts'
import {
  convolutionBackwardFilterKernel,
  convolutionBackwardInputKernel,
  convolutionKernel,
  depthwiseConvolutionBackwardFilterKernel,
  depthwiseConvolutionBackwardInputKernel,
  depthwiseConvolutionKernel,
} from './convolution/index.ts'
import { cumulativeKernel } from './cumulative.ts'
import { fusedKernel } from './fused.ts'
import { gatherKernel } from './gather.ts'
import { matmulKernel, widenedMatmulKernel } from './matmul.ts'
import { quantizedMatmulKernel } from './quantized-matmul.ts'
import { scatterKernel } from './scatter.ts'
import { argSortKernel } from './sort.ts'

/** One kernel for each op that schedules are made of: with these every op of every package runs. */
export const wasmBasicKernels: readonly Kernel[] = [
  fusedKernel,
  matmulKernel,
  widenedMatmulKernel,
  gatherKernel,
  scatterKernel,
]
/** Convolutions and both of their gradients as a whole. */
export const wasmConvolutionKernels: readonly Kernel[] = [
  convolutionKernel,
  convolutionBackwardInputKernel,
  convolutionBackwardFilterKernel,
  depthwiseConvolutionKernel,
  depthwiseConvolutionBackwardInputKernel,
  depthwiseConvolutionBackwardFilterKernel,
]
/** Attention and its gradient without a matrix of scores. */
export const wasmAttentionKernels: readonly Kernel[] = [attentionKernel, attentionBackwardKernel]
/** Products with 8-bit and 4-bit weights. */
export const wasmQuantizedKernels: readonly Kernel[] = [quantizedMatmulKernel]
/** Cumulative ops and sorting. */
export const wasmSequenceKernels: readonly Kernel[] = [cumulativeKernel, argSortKernel]

/** The kernels that come with `wasm()`. */
export const wasmKernels: readonly Kernel[] = /* @__PURE__ */ [
  wasmBasicKernels,
  wasmConvolutionKernels,
  wasmAttentionKernels,
  wasmQuantizedKernels,
  wasmSequenceKernels,
].flat()
