import type { Kernel } from '@tessera/core'
import { attentionBackwardKernel, attentionKernel } from './attention/attention.ts'
import {
  convolutionBackwardFilterKernel,
  convolutionBackwardInputKernel,
  convolutionKernel,
} from './convolution/convolution.ts'
import { fusedKernel } from './fused.ts'
import { gatherKernel } from './gather.ts'
import { matmulKernel } from './matmul/matmul.ts'
import { quantizedMatmulKernel } from './quantized/quantized.ts'
import { scatterKernel } from './scatter.ts'

/** Kernels of the backend `webgpu`. */
export const webGpuKernels: readonly Kernel[] = [
  fusedKernel,
  matmulKernel,
  gatherKernel,
  scatterKernel,
  attentionKernel,
  attentionBackwardKernel,
  quantizedMatmulKernel,
  convolutionKernel,
  convolutionBackwardInputKernel,
  convolutionBackwardFilterKernel,
]
