import type { Kernel } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import { type AttentionProblem, attentionProblem } from './problem.ts'
import { planRowBackward } from './rows/backward.ts'
import { planRowForward } from './rows/forward.ts'
import { planTileBackward } from './tiles/backward.ts'
import { planTileForward } from './tiles/forward.ts'

/** Multiply–adds of one product with the scores of all heads. */
const scoreWork = ({ operands, keys, causal, queries }: AttentionProblem): number =>
  sizeOf(operands.query!.view.shape.slice(0, -1)) * keys * (causal && queries > 1 ? 0.5 : 1)

/**
 * Attention that keeps no matrix of scores, for heads up to 128 wide: by tiles in workgroup memory on graphics cards, by rows in registers where
 * shaders run on the processor.
 */
export const attentionKernel: Kernel<'attention', 'webgpu'> = {
  name: 'webgpu-attention',
  op: 'attention',
  backend: 'webgpu',
  tolerance: 2e-6,
  layouts: 'any',
  cost(call, { gigaflops, microsecondsPerCall }) {
    const problem = attentionProblem(call, call.outputs.slice(0, 1))
    if (!problem) return undefined
    const work = 2 * scoreWork(problem) * (problem.width + problem.valueWidth + 16)
    return microsecondsPerCall + work / (1000 * gigaflops)
  },
  build: (call) => (environment, memory) => {
    const plan = environment.features.software ? planRowForward : planTileForward
    return plan(attentionProblem(call, call.outputs.slice(0, 1))!, environment, memory)
  },
}

/** The backward pass of `attentionKernel`. */
export const attentionBackwardKernel: Kernel<'attentionBackward', 'webgpu'> = {
  name: 'webgpu-attention-backward',
  op: 'attentionBackward',
  backend: 'webgpu',
  tolerance: 4e-6,
  layouts: 'any',
  cost(call, { gigaflops, microsecondsPerCall }) {
    const problem = attentionProblem(call, [...call.inputs.slice(-1), ...call.outputs])
    if (!problem) return undefined
    // Scores are computed in both dispatches.
    const work = 2 * scoreWork(problem) * (4 * problem.width + 3 * problem.valueWidth + 32)
    return 2 * microsecondsPerCall + work / (1000 * gigaflops)
  },
  build: (call) => (environment, memory) => {
    const plan = environment.features.software ? planRowBackward : planTileBackward
    return plan(attentionProblem(call, [...call.inputs.slice(-1), ...call.outputs])!, environment, memory)
  },
}
