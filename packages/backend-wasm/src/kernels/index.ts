import type { Kernel } from '@tessera/core'
import { attentionBackwardKernel, attentionKernel } from './attention.ts'
import {
  convolutionBackwardFilterKernel,
  convolutionBackwardInputKernel,
  convolutionKernel,
} from './convolution/index.ts'
import { cumulativeKernel } from './cumulative.ts'
import { fusedKernel } from './fused.ts'
import { gatherKernel } from './gather.ts'
import { matmulKernel, widenedMatmulKernel } from './matmul.ts'
import { quantizedMatmulKernel } from './quantized-matmul.ts'
import { scatterKernel } from './scatter.ts'
import { argSortKernel } from './sort.ts'

/** The kernels that come with the backend: one for each op that schedules are made of, and for ops worth taking as a whole. */
export const wasmKernels: readonly Kernel[] = [
  fusedKernel,
  matmulKernel,
  widenedMatmulKernel,
  gatherKernel,
  scatterKernel,
  convolutionKernel,
  convolutionBackwardInputKernel,
  convolutionBackwardFilterKernel,
  attentionKernel,
  attentionBackwardKernel,
  quantizedMatmulKernel,
  cumulativeKernel,
  argSortKernel,
]
