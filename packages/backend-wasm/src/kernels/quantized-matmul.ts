import type { Kernel, OpAttributes, OpCall, Operand } from '@tessera/core'
import { hasAdjacentRows, isRowMajor, ownInputs, sizeOf } from '@tessera/core'
import { mergeAxes } from '../fused/axes.ts'
import type { WasmCallPlan, WasmFunction } from '../program/contract.ts'
import {
  bytesOf,
  epiloguePart,
  epilogueWork,
  followersOf,
  invocationOf,
  joinWords,
  resultOf,
  stageOf,
} from './epilogue.ts'
import { emitQuantizedUnit, quantizedParameters, quantizedWords } from './quantized/unit.ts'

const unitFunction = (bits: 8 | 4): WasmFunction<typeof quantizedParameters> => ({
  name: `quantized-matmul.unit${bits}`,
  parameters: quantizedParameters,
  define: (module, { variant }) => emitQuantizedUnit(module, variant, bits),
})
const unitFunctions = { 8: unitFunction(8), 4: unitFunction(4) } as const

/** More rows than this are better served by writing the numbers out once and multiplying as always. */
const mostRows = 16
/** Numbers of one row of the matrix that are converted and multiplied in the time of a multiply–add of the packed product. */
const conversionWeight = 8

/** Products of a few rows with int8 or 4-bit weights, which are read as they are stored. */
export const quantizedMatmulKernel: Kernel<'quantizedMatmul', 'wasm'> = {
  name: 'wasm-quantized-matmul',
  op: 'quantizedMatmul',
  backend: 'wasm',
  tolerance: 2e-6,
  layouts: 'rows',
  epilogues: true,
  cost(call, { gigaflops, gigabytesPerSecond, microsecondsPerCall }) {
    const [x, values, scales] = ownInputs(call)
    const y = resultOf(call)
    if (!x || !values || !scales || !isAddressable(call.attributes, x, values, scales, y)) return undefined
    const rows = sizeOf(x.view.shape.slice(0, -1))
    const after = rowsOf(call) && epilogueWork(call, 0)
    if (after === undefined || rows > mostRows) return undefined
    const work = conversionWeight * rows * sizeOf(scales.view.shape) * call.attributes.block + after
    const bytes = [...call.inputs, ...call.outputs].reduce((sum, operand) => sum + bytesOf(operand), 0)
    return microsecondsPerCall + Math.max((2 * work) / (1000 * gigaflops), bytes / (1000 * gigabytesPerSecond))
  },
  build: (call) => () => planCall(call),
}

function isAddressable(
  { bits, block }: OpAttributes['quantizedMatmul'],
  x: Operand,
  values: Operand,
  scales: Operand,
  y: Operand,
): boolean {
  return (
    x.dtype === 'f32' &&
    values.dtype === (bits === 8 ? 'i8' : 'u8') &&
    scales.dtype === 'f32' &&
    y.dtype === 'f32' &&
    (bits === 8 ? block % 16 === 0 : block === 32) &&
    [x, values, scales, y].every(({ view }) => sizeOf(view.shape) > 0) &&
    isRowMajor(values.view) &&
    isRowMajor(scales.view) &&
    hasAdjacentRows(x.view) &&
    hasAdjacentRows(y.view)
  )
}

/** The leading axes of x and of all that has the shape of the result as one axis of rows; `undefined` where they do not join. */
function rowsOf(
  call: OpCall<'quantizedMatmul'>,
): { readonly extent: number; readonly strides: readonly number[] } | undefined {
  const y = resultOf(call)
  const operands = [call.inputs[0]!, y, ...followersOf(call)]
  const { shape } = y.view
  if (operands.some(({ view }) => view.strides.length !== shape.length)) return undefined
  const leading = shape
    .slice(0, -1)
    .flatMap((extent, axis) =>
      extent === 1 ? [] : [{ extent, strides: operands.map(({ view }) => view.strides[axis]!) }],
    )
  const [rows = { extent: 1, strides: operands.map(() => 0) }, ...more] = mergeAxes(leading)
  return more.length === 0 ? rows : undefined
}

function planCall(call: OpCall<'quantizedMatmul'>): WasmCallPlan {
  const { bits, block } = call.attributes
  const rows = rowsOf(call)!
  const [k, n] = [call.inputs[0]!.view.shape.at(-1)!, resultOf(call).view.shape.at(-1)!]
  // A unit's weights stay in the nearest caches for all rows.
  const columns = Math.max(32, Math.min(512, 16 * Math.ceil(n / 256)))
  const blocks = { rows: rows.extent, columns, rowUnits: 1, columnUnits: Math.ceil(n / columns), m: rows.extent, n }
  const followers = followersOf(call).map(({ view }, i) => [rows.strides[i + 2]!, view.strides.at(-1)!])
  const after = call.epilogue && epiloguePart(call, blocks, [], followers)
  const { place: stage, end } = stageOf(after, blocks)
  const words = quantizedWords({
    m: rows.extent,
    n,
    k,
    block,
    columns,
    xRow: 4 * rows.strides[0]!,
    yRow: 4 * (after ? columns : rows.strides[1]!),
    isStaged: after ? 1 : 0,
  })
  return {
    steps: [
      {
        function: unitFunctions[bits] as unknown as WasmFunction,
        arguments: [
          { kind: 'data' },
          { kind: 'input', index: 0 },
          { kind: 'input', index: 1 },
          { kind: 'input', index: 2 },
          after ? stage : { kind: 'output', index: 0 },
          { kind: 'unit' },
        ],
        units: blocks.columnUnits,
        ...(after && { after: [invocationOf(after, words.byteLength, stage)] }),
      },
    ],
    data: joinWords(words, after),
    threadScratchBytes: end,
  }
}
