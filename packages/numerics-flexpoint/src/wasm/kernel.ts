import type { WasmArgument, WasmCallPlan, WasmFunction, WasmTarget } from '@tessera/backend-wasm'
import { type Kernel, type OpCall, type Operand, sizeOf } from '@tessera/core'
import { type MantissaFormat, packFunction } from './pack.ts'
import { productFunction, tileOf } from './tile.ts'

const bytesOf: Partial<Record<string, number>> = { i8: 1, i16: 2 }

/** Panels of the left matrix that stay in the second cache while column panels pass. */
const leftBytes = 2 ** 17
/** Column panels of a unit: few enough that several threads have units of their own. */
const unitColumns = 16
/** Packed matrices beyond this do not share the memory of 32-bit addresses with the rest. */
const mostPackedBytes = 2 ** 30

/** Rows, inner extent, columns and number of matrices. */
function sizesOf({ inputs: [a], outputs: [c] }: OpCall<'integerMatmul'>) {
  const [rows, columns] = c!.view.shape.slice(-2) as [number, number]
  return { rows, columns, depth: a!.view.shape.at(-1)!, batches: sizeOf(c!.view.shape.slice(0, -2)) }
}

/** Byte offsets, from the first element, of the matrices of an operand, in order. */
function matrixOffsets({ view: { shape, strides } }: Operand, elementBytes: number): number[] {
  let offsets = [0]
  for (let axis = 0; axis < shape.length - 2; axis++) {
    const step = strides[axis]! * elementBytes
    offsets = offsets.flatMap((offset) => Array.from({ length: shape[axis]! }, (_, i) => offset + i * step))
  }
  return offsets
}

function packedBytes(extent: number, tileExtent: number, depth: number, batches: number): number {
  return Math.ceil((4 * tileExtent * Math.ceil(extent / tileExtent) * Math.ceil(depth / 2) * batches) / 64) * 64
}

/** Exact, as far as the op is: tolerance 0. */
export const integerMatmulKernel: Kernel<'integerMatmul', 'wasm'> = {
  name: 'integer-matmul',
  op: 'integerMatmul',
  backend: 'wasm',
  tolerance: 0,
  layouts: 'any',
  cost: (call, { gigaflops, microsecondsPerCall }) => {
    const [a, b] = call.inputs
    const [c] = call.outputs
    if (!a || !b || bytesOf[a.dtype] === undefined || bytesOf[b.dtype] === undefined || c?.dtype !== 'i32')
      return undefined
    if ([a, b, c].some(({ view }) => sizeOf(view.shape) === 0)) return undefined
    const { rows, columns, depth, batches } = sizesOf(call)
    // The tiles of all variants fit into this.
    const [widest, tallest] = [16, 5]
    if (packedBytes(rows, tallest, depth, batches) + packedBytes(columns, widest, depth, batches) > mostPackedBytes)
      return undefined
    return microsecondsPerCall + (2 * batches * rows * columns * depth) / (1000 * gigaflops)
  },
  build: (call) => (target) => planCall(call, target),
}

function planCall(call: OpCall<'integerMatmul'>, { variant }: WasmTarget): WasmCallPlan {
  const { rows, columns, depth, batches } = sizesOf(call)
  const [a, b] = call.inputs as readonly [Operand, Operand]
  const c = call.outputs[0]!
  const tile = tileOf(variant)
  const width = 4 * tile.vectors
  const pairs = Math.ceil(depth / 2)
  const [rowPanels, columnPanels] = [Math.ceil(rows / tile.rows), Math.ceil(columns / width)]
  const unitRows = Math.max(1, Math.floor(leftBytes / (4 * tile.rows * pairs)))
  const rightAt = packedBytes(rows, tile.rows, depth, batches)
  const word = (value: number): WasmArgument => ({ kind: 'i32', value })
  const offsetsOf = (operand: number): WasmArgument => ({ kind: 'data', byteOffset: 4 * batches * operand })
  const unit: WasmArgument = { kind: 'unit' }
  const [left, right] = [0, rightAt].map((byteOffset): WasmArgument => ({ kind: 'sharedScratch', byteOffset }))
  const pack = (index: 0 | 1) => {
    const operand = index === 0 ? a : b
    const bytes = bytesOf[operand.dtype]!
    const [row, column] = operand.view.strides.slice(-2).map((stride) => bytes * stride) as [number, number]
    const steps = index === 0 ? [rows, row, depth, column] : [columns, column, depth, row]
    return {
      function: packFunction(
        operand.dtype as MantissaFormat,
        index === 0 ? 'left' : 'right',
      ) as unknown as WasmFunction,
      arguments: [
        offsetsOf(index),
        { kind: 'input', index } as const,
        index === 0 ? left! : right!,
        unit,
        ...steps.map(word),
      ],
      units: batches * (index === 0 ? rowPanels : columnPanels),
    }
  }
  const [outputRow, outputColumn] = c.view.strides.slice(-2).map((stride) => 4 * stride) as [number, number]
  const sizes = [rows, columns, pairs, unitRows, unitColumns, outputRow, outputColumn]
  const product = {
    function: productFunction as unknown as WasmFunction,
    arguments: [
      left!,
      right!,
      offsetsOf(2),
      { kind: 'output', index: 0 } as const,
      { kind: 'threadScratch' } as const,
      unit,
      ...sizes.map(word),
    ],
    units: batches * Math.ceil(rowPanels / unitRows) * Math.ceil(columnPanels / unitColumns),
  }
  const offsets = [a, b, c].flatMap((operand) => matrixOffsets(operand, bytesOf[operand.dtype] ?? 4))
  return {
    steps: [pack(0), pack(1), product],
    data: Int32Array.from(offsets),
    sharedScratchBytes: rightAt + packedBytes(columns, width, depth, batches),
    threadScratchBytes: 4 * tile.rows * width,
  }
}
