import type { Kernel, OpCall, Operand } from '@tessera/core'
import { formatOf, sizeOf } from '@tessera/core'
import { type LookupBody, lowerBody, type PlacedOperand } from '../fused/body.ts'
import { laneKindOf } from '../fused/operations.ts'
import { assemble } from '../fused/parts.ts'
import { mapParts } from '../fused/plan-map.ts'
import type { WasmCallPlan } from '../program/contract.ts'

/** Lookups as generated code: rows are copied by vectors, single elements lane by lane. */
export const gatherKernel: Kernel<'gather', 'wasm'> = {
  name: 'wasm-gather',
  op: 'gather',
  backend: 'wasm',
  tolerance: 0,
  cost(call, { gigabytesPerSecond, microsecondsPerCall }) {
    const [source, indices] = call.inputs
    const output = call.outputs[0]
    if (!source || !indices || !output || source.dtype !== output.dtype || laneKindOf(source.dtype) === undefined)
      return undefined
    if (indices.dtype !== 'i32' && indices.dtype !== 'u32') return undefined
    const bytes = 2 * sizeOf(output.view.shape) * formatOf(output.dtype).bytes
    return microsecondsPerCall + bytes / (1000 * gigabytesPerSecond)
  },
  build: (call) => () => planGather(call),
}

function planGather(call: OpCall<'gather'>): WasmCallPlan {
  const [source, indices] = call.inputs as readonly [Operand, Operand]
  const output = call.outputs[0]!
  const domain = output.view.shape
  if (sizeOf(domain) === 0) return { steps: [] }
  const { axis } = call.attributes
  const over = lookupStrides(source, indices, axis)
  const inputs: PlacedOperand[] = [
    { ...source, view: { ...source.view, shape: domain, strides: over.source }, place: { kind: 'input', index: 0 } },
    { ...indices, view: { ...indices.view, shape: domain, strides: over.indices }, place: { kind: 'input', index: 1 } },
  ]
  const { dtype } = source
  const body: LookupBody = {
    domain,
    kind: 'map',
    rowAxes: 0,
    reducedStart: 0,
    reducedEnd: 0,
    instructions: [
      { kind: 'load', input: 1, dtype: indices.dtype },
      {
        kind: 'lookup',
        input: 0,
        index: 0,
        extent: source.view.shape[axis]!,
        stride: source.view.strides[axis]!,
        dtype,
      },
    ],
    stores: [1],
  }
  return assemble(mapParts(lowerBody(body, inputs, [{ ...output, place: { kind: 'output', index: 0 } }])))
}

/** Strides of the looked-up tensor and of the indices over `[…axes before, …axes of the indices, …axes after]`. */
export function lookupStrides(table: Operand, indices: Operand, axis: number): { source: number[]; indices: number[] } {
  const before = table.view.strides.slice(0, axis)
  const after = table.view.strides.slice(axis + 1)
  const own = indices.view.strides
  const still = (strides: readonly number[]): number[] => strides.map(() => 0)
  return {
    source: [...before, ...still(own), ...after],
    indices: [...still(before), ...own, ...still(after)],
  }
}
