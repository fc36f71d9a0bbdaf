import type { FusedBody, Kernel, OpCall, Operand, View } from '@tessera/core'
import { formatOf, sizeOf } from '@tessera/core'
import { mergeAxes, normalizeAxes, takeInnerAxis } from '../fused/axes.ts'
import { lowerBody } from '../fused/body.ts'
import { laneKindOf } from '../fused/operations.ts'
import { assemble, type Part } from '../fused/parts.ts'
import { mapParts } from '../fused/plan-map.ts'
import { scatterPart } from '../fused/plan-scatter.ts'
import type { WasmCallPlan } from '../program/contract.ts'
import { lookupStrides } from './gather.ts'

/** Updates at looked-up positions: the base is copied unless it is the output itself, then updates follow in order. */
export const scatterKernel: Kernel<'scatter', 'wasm'> = {
  name: 'wasm-scatter',
  op: 'scatter',
  backend: 'wasm',
  tolerance: 1e-6,
  cost(call, { gigabytesPerSecond, microsecondsPerCall }) {
    const [base, indices, updates] = call.inputs
    const output = call.outputs[0]
    if (!base || !indices || !updates || !output) return undefined
    if (base.dtype !== output.dtype || updates.dtype !== output.dtype || laneKindOf(output.dtype) === undefined)
      return undefined
    if (indices.dtype !== 'i32' && indices.dtype !== 'u32') return undefined
    if (output.dtype === 'bool' && call.attributes.mode === 'add') return undefined
    const copied = isInPlace(base, output) ? 0 : 2 * sizeOf(output.view.shape)
    const bytes = (copied + 3 * sizeOf(updates.view.shape)) * formatOf(output.dtype).bytes
    return microsecondsPerCall + bytes / (1000 * gigabytesPerSecond)
  },
  build: (call) => () => planCall(call),
}

function isInPlace(base: Operand, output: Operand): boolean {
  const same = (a: View, b: View): boolean =>
    a.offset === b.offset && a.strides.every((stride, axis) => stride === b.strides[axis])
  return base.buffer === output.buffer && same(base.view, output.view)
}

function planCall(call: OpCall<'scatter'>): WasmCallPlan {
  const [base, indices, updates] = call.inputs as readonly [Operand, Operand, Operand]
  const output = call.outputs[0]!
  const copy = isInPlace(base, output) ? [] : copyParts(base, output)
  const { axis, mode } = call.attributes
  const domain = updates.view.shape
  if (sizeOf(domain) === 0 || sizeOf(output.view.shape) === 0) return assemble(copy)
  const strides = lookupStrides(output, indices, axis)
  const patterns = [
    { strides: updates.view.strides, isStore: false },
    { strides: strides.indices, isStore: false },
    { strides: strides.source, isStore: true },
  ]
  const isIndexAxis = (position: number): boolean => position >= axis && position < axis + indices.view.shape.length
  const positions = domain.map((_, position) => position)
  const starts = [0, 0, 0]
  const free = positions.filter((position) => !isIndexAxis(position))
  const { inner, outer } = takeInnerAxis(normalizeAxes(domain, free, patterns, starts))
  // The order of the updates counts, so the axes of the indices keep theirs.
  const sequential = mergeAxes(
    positions
      .filter((position) => isIndexAxis(position) && domain[position] !== 1)
      .map((position) => ({
        extent: domain[position]!,
        strides: patterns.map((pattern) => pattern.strides[position]!),
      })),
  )
  const update = scatterPart({
    mode,
    operands: [
      { ...updates, place: { kind: 'input', index: 2 } },
      { ...indices, place: { kind: 'input', index: 1 } },
      { ...output, place: { kind: 'output', index: 0 } },
    ],
    extent: output.view.shape[axis]!,
    stride: output.view.strides[axis]!,
    starts,
    outer,
    sequential,
    inner: inner ?? { extent: 1, strides: [1, 0, 1] },
  })
  return assemble([...copy, update])
}

/** The base copied to the output. */
function copyParts(base: Operand, output: Operand): Part[] {
  const body: FusedBody = {
    domain: output.view.shape,
    kind: 'map',
    rowAxes: 0,
    reducedStart: 0,
    reducedEnd: 0,
    instructions: [{ kind: 'load', input: 0, dtype: base.dtype }],
    stores: [0],
  }
  const from = { ...base, place: { kind: 'input', index: 0 } } as const
  return mapParts(lowerBody(body, [from], [{ ...output, place: { kind: 'output', index: 0 } }]))
}
