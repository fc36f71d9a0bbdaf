import type { Kernel, OpCall } from '@tessera/core'
import { bytesMoved } from '../../program/bytes.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { planRegisterFilterGradient } from './filter-gradient.ts'
import { type ConvolutionOp, type ConvolutionProblem, convolutionProblem, workOf } from './problem.ts'
import { planRegisterConvolution } from './registers.ts'
import { planSharedConvolution } from './shared.ts'

type Planner = (
  call: OpCall,
  problem: ConvolutionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
) => WebGpuCallPlan

function kernelOf<Op extends ConvolutionOp>(op: Op, name: string, planOnProcessor: Planner): Kernel<Op, 'webgpu'> {
  return {
    name,
    op,
    backend: 'webgpu',
    tolerance: 2e-6,
    epilogues: true,
    layouts: 'any',
    cost(call, limits) {
      const problem = convolutionProblem(call as unknown as OpCall<ConvolutionOp>)
      if (!problem) return undefined
      const transfer = bytesMoved(call) / (1000 * limits.gigabytesPerSecond)
      return limits.microsecondsPerCall + Math.max(transfer, (2 * workOf(problem)) / (1000 * limits.gigaflops))
    },
    build: (call) => (environment, memory) => {
      const plan = environment.features.software ? planOnProcessor : planSharedConvolution
      const problem = convolutionProblem(call as unknown as OpCall<ConvolutionOp>)!
      return plan(call as unknown as OpCall, problem, environment, memory)
    },
  }
}

/**
 * Convolution and its gradients in any number of spatial dimensions, with any stride, padding, dilation and groups, and with epilogues that are
 * maps. Nothing is written out for them; on graphics cards tiles are gathered into workgroup memory, on a processor into registers.
 */
export const convolutionKernel = kernelOf('convolution', 'webgpu-convolution', planRegisterConvolution)
export const convolutionBackwardInputKernel = kernelOf(
  'convolutionBackwardInput',
  'webgpu-convolution-backward-input',
  planRegisterConvolution,
)
export const convolutionBackwardFilterKernel = kernelOf(
  'convolutionBackwardFilter',
  'webgpu-convolution-backward-filter',
  planRegisterFilterGradient,
)
