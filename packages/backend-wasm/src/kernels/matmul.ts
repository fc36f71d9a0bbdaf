import type { Kernel, OpCall, Operand } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import { mergeAxes } from '../fused/axes.ts'
import type { WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '../program/contract.ts'
import { matmulFunctions, matmulParameters, matmulTuning, planMatmul } from './matmul/index.ts'

const matmulFunction: WasmFunction<typeof matmulParameters> = {
  name: 'matmul',
  parameters: matmulParameters,
  define: (module, { variant }) => matmulFunctions(module, variant).matmul,
}

/** The most batch axes that one call of the function takes. */
const mostBatchAxes = 3

/** The packed matrix product of `kernels/matmul`. */
export const matmulKernel: Kernel<'matmul', 'wasm'> = {
  name: 'wasm-matmul',
  op: 'matmul',
  backend: 'wasm',
  tolerance: 2e-6,
  layouts: 'any',
  cost(call, { gigaflops, gigabytesPerSecond, microsecondsPerCall }) {
    const operands = [...call.inputs, ...call.outputs]
    if (operands.length !== 3 || !operands.every(({ dtype, view }) => dtype === 'f32' && view.shape.length >= 2))
      return undefined
    const [a, b, c] = operands as [Operand, Operand, Operand]
    const depth = a.view.shape.at(-1)!
    const [rows, columns] = c.view.shape.slice(-2) as [number, number]
    const batches = sizeOf(c.view.shape.slice(0, -2))
    // Incomplete tiles cost as much as complete ones; few rows stream the other matrix from memory.
    const tiles = batches * roundUp(rows, rows < 6 ? 1 : 6) * roundUp(columns, 8)
    const bytes = 4 * (sizeOf(a.view.shape) + sizeOf(b.view.shape) + sizeOf(c.view.shape))
    const computing = (2 * tiles * depth) / (1000 * gigaflops)
    return microsecondsPerCall + Math.max(computing, bytes / (1000 * gigabytesPerSecond))
  },
  build: (call) => (target) => planCall(call, target),
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

function planCall(call: OpCall<'matmul'>, { variant, threads }: WasmTarget): WasmCallPlan {
  const [a, b] = call.inputs as readonly [Operand, Operand]
  const c = call.outputs[0]!
  const operands = [a, b, c]
  const [m, n] = c.view.shape.slice(-2) as [number, number]
  const k = a.view.shape.at(-1)!
  const batchShape = c.view.shape.slice(0, -2)
  if (sizeOf(c.view.shape) === 0) return { steps: [] }
  const axes = mergeAxes(
    batchShape.flatMap((extent, axis) =>
      extent === 1 ? [] : [{ extent, strides: operands.map(({ view }) => view.strides[axis]!) }],
    ),
  )
  const inner = axes.slice(-mostBatchAxes)
  const layout = (operand: number) => {
    const [rowStride, columnStride] = operands[operand]!.view.strides.slice(-2) as [number, number]
    return { rowStride, columnStride, batchStrides: inner.map(({ strides }) => strides[operand]!) }
  }
  const plan = planMatmul(
    { m, n, k, batch: inner.map(({ extent }) => extent), a: layout(0), b: layout(1), c: layout(2) },
    matmulTuning(variant),
  )
  // Further batch axes are further steps.
  const outer = axes.slice(0, -mostBatchAxes)
  const steps = positions(outer).map(
    (offsets): WasmStep => ({
      function: matmulFunction as unknown as WasmFunction,
      arguments: [
        { kind: 'data' },
        { kind: 'input', index: 0, byteOffset: 4 * offsets[0]! },
        { kind: 'input', index: 1, byteOffset: 4 * offsets[1]! },
        { kind: 'output', index: 0, byteOffset: 4 * offsets[2]! },
        { kind: 'sharedScratch' },
        { kind: 'thread' },
        { kind: 'threads' },
      ],
    }),
  )
  return { steps, data: plan.descriptor, sharedScratchBytes: plan.scratchBytes(threads) }
}

/** The element offsets of every point of some axes, one for each operand. */
function positions(axes: readonly { readonly extent: number; readonly strides: readonly number[] }[]): number[][] {
  let points = [[0, 0, 0]]
  for (const { extent, strides } of axes) {
    points = points.flatMap((point) =>
      Array.from({ length: extent }, (_, index) => point.map((offset, operand) => offset + index * strides[operand]!)),
    )
  }
  return points
}
