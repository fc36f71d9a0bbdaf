import { type Kernel, type OpCall, sizeOf } from '@tessera/core'
import { meanPairs } from '../groups/work.ts'
import { planBackward } from './backward.ts'
import { planForward } from './forward.ts'
import { Place, type SparseProblem, sparseProblem } from './problem.ts'

/** Multiply–adds of one product with the scores of all heads. A query over a cache sees about as much as the mean of all positions. */
function scoreWork({ attention: { operands, queries, keys }, patterns }: SparseProblem): number {
  const heads = sizeOf(operands.query!.view.shape.slice(0, -2))
  return (heads * meanPairs(patterns, keys) * queries) / keys
}

const forwardProblem = (call: OpCall<'sparseAttention'>) =>
  sparseProblem(call, ['query', 'key', 'value'], ['output', 'logarithm'])

const forwardKernel: Kernel<'sparseAttention', 'webgpu'> = {
  name: 'sparse-attention/forward',
  op: 'sparseAttention',
  backend: 'webgpu',
  tolerance: 2e-6,
  layouts: 'any',
  cost(call, { gigaflops, microsecondsPerCall }) {
    const problem = forwardProblem(call)
    if (!problem) return undefined
    const { width, valueWidth } = problem.attention
    const dispatches = problem.patterns.length
    return dispatches * microsecondsPerCall + (2 * scoreWork(problem) * (width + valueWidth + 16)) / (1000 * gigaflops)
  },
  build: (call) => (environment, memory) => ({
    dispatches: planForward(forwardProblem(call)!, new Place(environment, memory)),
  }),
}

const backwardProblem = (call: OpCall<'sparseAttentionBackward'>) =>
  sparseProblem(
    call,
    ['query', 'key', 'value', 'logarithm', 'projection', 'gradient'],
    ['queryGradient', 'keyGradient', 'valueGradient'],
  )

const backwardKernel: Kernel<'sparseAttentionBackward', 'webgpu'> = {
  name: 'sparse-attention/backward',
  op: 'sparseAttentionBackward',
  backend: 'webgpu',
  tolerance: 4e-6,
  layouts: 'any',
  cost(call, { gigaflops, microsecondsPerCall, maximumOperands }) {
    const problem = backwardProblem(call)
    if (!problem) return undefined
    const hasMask = problem.patterns.some(({ kind }) => kind === 'blocks')
    // Six inputs and two gradients, and the mask.
    if (maximumOperands < (hasMask ? 9 : 8)) return undefined
    const { width, valueWidth } = problem.attention
    const dispatches = 2 * problem.patterns.length
    // Scores are computed in both dispatches.
    const work = 2 * scoreWork(problem) * (4 * width + 3 * valueWidth + 32)
    return dispatches * microsecondsPerCall + work / (1000 * gigaflops)
  },
  build: (call) => (environment, memory) => ({
    dispatches: planBackward(backwardProblem(call)!, new Place(environment, memory)),
  }),
}

const cachedProblem = (call: OpCall<'sparseAttentionCached'>) =>
  sparseProblem(call, ['query', 'key', 'value', 'position'], ['output'])

const cachedKernel: Kernel<'sparseAttentionCached', 'webgpu'> = {
  name: 'sparse-attention/cached',
  op: 'sparseAttentionCached',
  backend: 'webgpu',
  tolerance: 2e-6,
  layouts: 'any',
  cost(call, { gigabytesPerSecond, microsecondsPerCall }) {
    const problem = cachedProblem(call)
    if (!problem) return undefined
    const { width, valueWidth } = problem.attention
    const bytes = 4 * scoreWork(problem) * (width + valueWidth)
    return problem.patterns.length * microsecondsPerCall + bytes / (1000 * gigabytesPerSecond)
  },
  build: (call) => (environment, memory) => ({
    dispatches: planForward(cachedProblem(call)!, new Place(environment, memory)),
  }),
}

/** The kernels of sparse attention for the backend `webgpu`. */
export const sparseAttentionWebGpuKernels: readonly Kernel[] = [forwardKernel, backwardKernel, cachedKernel]
