import type { Kernel, OpCall, Operand } from '@tessera/core'
import { formatOf, formatShape, sizeOf, TesseraError } from '@tessera/core'
import { foldWorkgroups } from '../fused/groups.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../program/contract.ts'
import { laneOf } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { Shader } from '../wgsl/shader.ts'

const workgroupSize = 64

/** Lookups along one axis; indices are clamped into it. One invocation for each element, or each four of a row. */
export const gatherKernel: Kernel<'gather', 'webgpu'> = {
  name: 'webgpu-gather',
  op: 'gather',
  backend: 'webgpu',
  tolerance: 0,
  cost(call, { gigabytesPerSecond, microsecondsPerCall }) {
    const [source, indices] = call.inputs
    const output = call.outputs[0]
    if (!source || !indices || !output || source.dtype !== output.dtype || laneOf(source.dtype) === undefined)
      return undefined
    if (indices.dtype !== 'i32' && indices.dtype !== 'u32') return undefined
    const bytes = 2 * sizeOf(output.view.shape) * formatOf(output.dtype).bytes
    return microsecondsPerCall + bytes / (1000 * gigabytesPerSecond)
  },
  build: (call) => (environment, memory) => planGather(call, environment, memory),
}

function planGather(call: OpCall<'gather'>, environment: WebGpuEnvironment, memory: CallMemory): WebGpuCallPlan {
  const [source, indices] = call.inputs as readonly [Operand, Operand]
  const output = call.outputs[0]!
  const { axis } = call.attributes
  const domain = output.view.shape
  const size = sizeOf(domain)
  const extent = source.view.shape[axis]!
  if (size === 0) return { dispatches: [] }
  if (extent === 0) {
    throw new TesseraError(
      'PROGRAM_INVALID',
      `gather: axis ${axis} of ${formatShape(source.view.shape)} has no elements to read.`,
    )
  }
  const over = lookupStrides(source, indices, axis)
  const stride = source.view.strides[axis]!
  // Four elements of a row stand at one index.
  const together = domain.length > 0 && domain.at(-1)! % 4 === 0 && axis < source.view.shape.length - 1
  const quad = (operand: Operand, strides: readonly number[]): boolean =>
    together &&
    operand.view.offset % 4 === 0 &&
    strides.at(-1) === 1 &&
    strides.slice(0, -1).every((each) => each % 4 === 0)
  const quads = quad(source, [stride, ...over.source]) && quad(output, output.view.strides)
  const wishes = [
    { operand: source, writes: false, quads },
    { operand: indices, writes: false, quads: false },
    { operand: output, writes: true, quads },
  ]
  const shader = new Shader(environment, memory, wishes)
  const number = (value: number): string => shader.number(value)
  const [from, by, to] = wishes.map((wish) => shader.access(wish))
  const invocations = quads ? size / 4 : size
  const { workgroups, index } = foldWorkgroups(Math.ceil(invocations / workgroupSize), environment.limits, number)
  const axes = domain.map((length, i) => ({
    extent: length,
    strides: [over.source[i]!, over.indices[i]!, output.view.strides[i]!],
  }))
  const position = `(sourceAt + picked * ${number(stride)})`
  const body = [
    `let invocation = ${index} * ${workgroupSize} + i32(local);`,
    `if (invocation >= ${number(invocations)}) { return; }`,
    `let point = invocation${quads ? ' * 4' : ''};`,
    ...positionsOf('point', axes, ['sourceAt', 'indexAt', 'outputAt'], number),
    indices.dtype === 'u32'
      ? `let picked = i32(min(${by!.load('indexAt')}, u32(${number(extent)}) - 1u));`
      : `let picked = clamp(${by!.load('indexAt')}, 0, ${number(extent)} - 1);`,
    `let value = ${quads ? from!.loadQuad(position, 1) : from!.load(position)};`,
    ...(quads ? to!.storeQuad('outputAt', 1, 'value') : to!.store('outputAt', 'value')),
  ]
  return { dispatches: [shader.dispatch({ name: 'gather', body, workgroupSize, workgroups })] }
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
