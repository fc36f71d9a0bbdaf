import type { Kernel, OpCall, Operand } from '@tessera/core'
import { isFloat, sizeOf } from '@tessera/core'
import { foldWorkgroups } from '../fused/groups.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../program/contract.ts'
import { laneOf } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { indented, Shader } from '../wgsl/shader.ts'
import { bytesMoved } from './cost.ts'

/** `[…batch, M, K] × […batch, K, N] → […batch, M, N]`: each invocation computes 4 × 4 elements from registers. */
export const matmulKernel: Kernel<'matmul', 'webgpu'> = {
  name: 'webgpu-matmul',
  op: 'matmul',
  backend: 'webgpu',
  tolerance: 2e-6,
  cost(call, limits) {
    const operands = [...call.inputs, ...call.outputs]
    if (operands.length !== 3 || !operands.every(({ dtype }) => isFloat(dtype) && laneOf(dtype) !== undefined)) {
      return undefined
    }
    if (operands.some(({ view }) => view.shape.length < 2)) return undefined
    const work = 2 * sizeOf(call.outputs[0]!.view.shape) * call.inputs[0]!.view.shape.at(-1)!
    const transfer = bytesMoved(call) / (1000 * limits.gigabytesPerSecond)
    return limits.microsecondsPerCall + Math.max(transfer, work / (1000 * limits.gigaflops))
  },
  build: (call) => (environment, memory) => planMatmul(call, environment, memory),
}

const tile = 32
const workgroupSize = 64

function planMatmul(call: OpCall<'matmul'>, environment: WebGpuEnvironment, memory: CallMemory): WebGpuCallPlan {
  const [a, b] = call.inputs as readonly [Operand, Operand]
  const c = call.outputs[0]!
  const rank = c.view.shape.length
  const [m, n] = c.view.shape.slice(-2) as [number, number]
  const k = a.view.shape.at(-1)!
  const batch = c.view.shape.slice(0, -2)
  if (sizeOf(c.view.shape) === 0) return { dispatches: [] }
  const wishes = [a, b, c].map((operand) => ({ operand, writes: operand === c, quads: false }))
  const shader = new Shader(environment, memory, wishes)
  const [left, right, result] = wishes.map((wish) => shader.access(wish))
  const [tilesM, tilesN] = [Math.ceil(m / tile), Math.ceil(n / tile)]
  const { workgroups, index } = foldWorkgroups(sizeOf(batch) * tilesM * tilesN, environment.limits)
  const axes = batch.map((extent, axis) => ({ extent, strides: [a, b, c].map(({ view }) => view.strides[axis]!) }))
  const four = [0, 1, 2, 3]
  const body = [
    `let block = ${index};`,
    'let batch = block / (parameters.tilesM * parameters.tilesN);',
    `if (batch >= ${sizeOf(batch)}) { return; }`,
    'let inBatch = block % (parameters.tilesM * parameters.tilesN);',
    `let row = (inBatch / parameters.tilesN) * ${tile} + i32(local / 8u) * 4;`,
    `let column = (inBatch % parameters.tilesN) * ${tile} + i32(local % 8u) * 4;`,
    'if (row >= parameters.m || column >= parameters.n) { return; }',
    ...positionsOf('batch', axes, ['aBatch', 'bBatch', 'cBatch']),
    ...four.map((i) => `let a${i} = aBatch + min(row + ${i}, parameters.m - 1) * parameters.aRow;`),
    ...four.map((i) => `let b${i} = bBatch + min(column + ${i}, parameters.n - 1) * parameters.bColumn;`),
    ...four.map((i) => `var sum${i} = vec4<f32>();`),
    'for (var k = 0; k < parameters.k; k++) {',
    ...indented([
      'let aOffset = k * parameters.aColumn;',
      'let bOffset = k * parameters.bRow;',
      `let panel = vec4<f32>(${four.map((i) => right!.load(`(b${i} + bOffset)`)).join(', ')});`,
      ...four.map((i) => `sum${i} += ${left!.load(`(a${i} + aOffset)`)} * panel;`),
    ]),
    '}',
    ...four.flatMap((i) => [
      `if (row + ${i} < parameters.m) {`,
      `  let corner = cBatch + (row + ${i}) * parameters.cRow + column * parameters.cColumn;`,
      ...four.flatMap((j) => [
        `  if (column + ${j} < parameters.n) {`,
        ...result!.store(`(corner + ${j} * parameters.cColumn)`, `sum${i}.${'xyzw'[j]}`).map((line) => `    ${line}`),
        '  }',
      ]),
      '}',
    ]),
  ]
  const strides = (operand: Operand): readonly number[] => operand.view.strides.slice(rank - 2)
  const [[aRow, aColumn], [bRow, bColumn], [cRow, cColumn]] = [a, b, c].map(strides) as [
    [number, number],
    [number, number],
    [number, number],
  ]
  const parameters = { m, n, k, tilesM, tilesN, aRow, aColumn, bRow, bColumn, cRow, cColumn }
  return { dispatches: [shader.dispatch({ name: 'matmul', body, workgroupSize, workgroups, parameters })] }
}
