import { isFloat, type Kernel, type OpCall, sizeOf } from '@tessera/core'
import { canFinish } from '../../fused/finish.ts'
import { bytesMoved } from '../../program/bytes.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { laneOf } from '../../wgsl/formats.ts'
import { planRegisterTiles } from './registers.ts'
import { planSharedTiles } from './shared.ts'

/**
 * `[…batch, M, K] × […batch, K, N] → […batch, M, N]` of any layout, with epilogues that are maps. Tiles in workgroup memory on graphics cards;
 * tiles in registers for few rows, and where shaders run on the processor: there barriers cost more than they save.
 */
export const matmulKernel: Kernel<'matmul', 'webgpu'> = {
  name: 'webgpu-matmul',
  op: 'matmul',
  backend: 'webgpu',
  tolerance: 2e-6,
  epilogues: true,
  layouts: 'any',
  cost(call, limits) {
    if (!takesProduct(call)) return undefined
    const [a, b] = call.inputs
    const work = 2 * sizeOf(a!.view.shape) * b!.view.shape.at(-1)!
    const transfer = bytesMoved(call) / (1000 * limits.gigabytesPerSecond)
    return limits.microsecondsPerCall + Math.max(transfer, work / (1000 * limits.gigaflops))
  },
  build: (call) => (environment, memory) => planMatmul(call, environment, memory),
}

/**
 * The dispatches of a product, with its epilogue. Kernels of other ops use it on operands of their own, which `memory` places.
 */
export function planMatmul(call: OpCall<'matmul'>, environment: WebGpuEnvironment, memory: CallMemory): WebGpuCallPlan {
  const rows = call.inputs[0]!.view.shape.at(-2)!
  const hasFew = rows <= 16
  return environment.features.software || hasFew
    ? planRegisterTiles(call, environment, memory)
    : planSharedTiles(call, environment, memory)
}

/** Whether the shaders of this folder can compute a product. */
export function takesProduct(call: OpCall<'matmul'>): boolean {
  const [a, b] = call.inputs
  if (!a || !b || !call.outputs[0]) return false
  const rank = a.view.shape.length
  return (
    [...call.inputs, ...call.outputs].every(({ dtype }) => laneOf(dtype) !== undefined) &&
    [a, b].every(({ dtype, view }) => isFloat(dtype) && view.shape.length === rank) &&
    rank >= 2 &&
    a.view.shape.at(-1) === b.view.shape.at(-2) &&
    (call.epilogue !== undefined || (isFloat(call.outputs[0].dtype) && call.outputs[0].view.shape.length === rank)) &&
    canFinish(call)
  )
}
