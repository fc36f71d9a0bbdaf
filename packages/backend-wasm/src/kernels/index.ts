import type { Kernel } from '@tessera/core'
import { fusedKernel } from './fused.ts'
import { gatherKernel } from './gather.ts'
import { matmulKernel } from './matmul.ts'
import { scatterKernel } from './scatter.ts'

/** The kernels that come with the backend: one for each op that schedules are made of. */
export const wasmKernels: readonly Kernel[] = [fusedKernel, matmulKernel, gatherKernel, scatterKernel]
