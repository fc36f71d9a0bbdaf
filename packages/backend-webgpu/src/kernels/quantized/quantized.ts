import type { Kernel, OpCall } from '@tessera/core'
import { bytesMoved } from '../../program/bytes.ts'
import { planDecodedTiles, planWrittenOut } from './matrices.ts'
import { quantizedProblem } from './problem.ts'
import { planVectors } from './vectors.ts'

/** More rows than this are multiplied by tiles. */
const mostVectors = 16

/** Products with int8 or 4-bit weights, which are read as they are stored: for few rows vectors, for many tiles; with epilogues that are maps. */
export const quantizedMatmulKernel: Kernel<'quantizedMatmul', 'webgpu'> = {
  name: 'webgpu-quantized-matmul',
  op: 'quantizedMatmul',
  backend: 'webgpu',
  tolerance: 2e-6,
  layouts: 'any',
  epilogues: true,
  cost(call, limits) {
    const problem = quantizedProblem(call)
    if (!problem) return undefined
    const work = 2 * problem.rows * problem.columns * problem.depth
    const transfer = bytesMoved(call) / (1000 * limits.gigabytesPerSecond)
    return limits.microsecondsPerCall + Math.max(transfer, work / (1000 * limits.gigaflops))
  },
  build: (call) => (environment, memory) => {
    const problem = quantizedProblem(call)!
    const whole = call as unknown as OpCall
    if (problem.rows <= mostVectors) return planVectors(whole, problem, environment, memory)
    return environment.features.software
      ? planWrittenOut(call, problem, environment, memory)
      : planDecodedTiles(whole, problem, environment, memory)
  },
}
