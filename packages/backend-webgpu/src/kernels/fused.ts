import type { Kernel, Limits, OpCall } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import { planFused } from '../fused/plan.ts'
import { bytesMoved } from '../program/bytes.ts'
import { laneOf } from '../wgsl/formats.ts'

/** Generates shaders for fused loop nests: see `planFused`. */
export const fusedKernel: Kernel<'fused', 'webgpu'> = {
  name: 'webgpu-fused',
  op: 'fused',
  backend: 'webgpu',
  tolerance: 2e-6,
  cost(call, limits) {
    const { instructions } = call.attributes
    const formats = [...instructions, ...call.inputs, ...call.outputs].map(({ dtype }) => dtype)
    if (!formats.every((dtype) => laneOf(dtype) !== undefined)) return undefined
    const transfer = bytesMoved(call) / (1000 * limits.gigabytesPerSecond)
    return limits.microsecondsPerCall + Math.max(transfer, computeTime(call, limits))
  },
  build: (call) => (environment, memory) => planFused(call, environment, memory),
}

/** Microseconds for the arithmetic, an op counting as eight multiply–adds. */
function computeTime({ attributes: { domain, instructions } }: OpCall<'fused'>, { gigaflops }: Limits): number {
  const ops = instructions.filter(({ kind }) => kind === 'compute' || kind === 'reduce').length
  return (16 * ops * sizeOf(domain)) / (1000 * gigaflops)
}
