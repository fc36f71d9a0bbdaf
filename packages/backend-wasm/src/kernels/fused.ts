import type { Kernel, Limits, OpCall } from '@tessera/core'
import { formatOf, sizeOf } from '@tessera/core'
import { laneKindOf } from '../fused/operations.ts'
import { planFused } from '../fused/plan.ts'
import { opWeight } from '../fused/weights.ts'

/** Generates code for fused loop nests: see `planFused`. */
export const fusedKernel: Kernel<'fused', 'wasm'> = {
  name: 'wasm-fused',
  op: 'fused',
  backend: 'wasm',
  tolerance: 1e-6,
  cost(call, limits) {
    const { instructions } = call.attributes
    if (!instructions.every(({ dtype }) => laneKindOf(dtype) !== undefined)) return undefined
    if (![...call.inputs, ...call.outputs].every(({ dtype }) => laneKindOf(dtype) !== undefined)) return undefined
    return limits.microsecondsPerCall + Math.max(transferTime(call, limits), computeTime(call, limits))
  },
  build: (call) => () => planFused(call),
}

/** Microseconds for the bytes that a call reads and writes, each once. */
function transferTime(call: OpCall<'fused'>, { gigabytesPerSecond }: Limits): number {
  let bytes = 0
  for (const { view, dtype } of [...call.inputs, ...call.outputs]) {
    let elements = 1
    view.shape.forEach((extent, axis) => {
      if (view.strides[axis] !== 0) elements *= extent
    })
    bytes += elements * formatOf(dtype).bytes
  }
  return bytes / (1000 * gigabytesPerSecond)
}

/** Microseconds for the vector instructions of a call, of which each takes the time of four multiply–adds. */
function computeTime(call: OpCall<'fused'>, { gigaflops }: Limits): number {
  let weight = 0
  for (const instruction of call.attributes.instructions) {
    if (instruction.kind === 'compute') weight += opWeight(instruction.op, instruction.dtype === 'f32')
    else if (instruction.kind === 'reduce') weight += 1
  }
  return (2 * weight * sizeOf(call.attributes.domain)) / (1000 * gigaflops)
}
