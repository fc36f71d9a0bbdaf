import { sizeOf } from '@tessera/core'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../program/contract.ts'
import { scalar, vector } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { Shader } from '../wgsl/shader.ts'
import { Evaluator } from './evaluator.ts'
import { foldWorkgroups } from './groups.ts'
import type { Nest } from './nest.ts'

const workgroupSize = 64

/** One invocation for each point of the domain, or each four points along its last axis. */
export function planMap(nest: Nest, environment: WebGpuEnvironment, memory: CallMemory): WebGpuCallPlan {
  const { domain, instructions } = nest.body
  const size = sizeOf(domain)
  if (size === 0) return { dispatches: [] }
  const width = nest.quads ? vector : scalar
  const shader = new Shader(environment, memory, nest.wishes)
  const number = (value: number): string => shader.number(value)
  const evaluator = new Evaluator(nest, shader, () => nest.quads)
  const invocations = size / width.lanes
  const { workgroups, index } = foldWorkgroups(Math.ceil(invocations / workgroupSize), environment.limits, number)
  const axes = domain.map((extent, axis) => ({ extent, strides: nest.walks.map(({ strides }) => strides[axis]!) }))
  const body = [
    `let invocation = ${index} * ${workgroupSize} + i32(local);`,
    `if (invocation >= ${number(invocations)}) { return; }`,
    `let point = invocation${nest.quads ? ' * 4' : ''};`,
    ...positionsOf(
      'point',
      axes,
      nest.walks.map(({ name }) => name),
      number,
    ),
    ...instructions.flatMap((_, i) => evaluator.emit(i)),
    ...nest.outputs.flatMap((_, i) => evaluator.store(i, width)),
  ]
  return { dispatches: [shader.dispatch({ name: 'map', body, workgroupSize, workgroups })] }
}
