import { TesseraError } from '../../errors.ts'
import { isFloat } from '../../graph/format.ts'
import { formatShape, type Shape, sameShape, sizeOf } from '../../graph/shape.ts'
import type { ReferenceKernelProgram } from '../../plugin/contract.ts'
import type { OpCall, Operand } from '../../schedule/program.ts'
import { allPositions, axisGroup, positionOf } from './addressing.ts'
import { load, store } from './numbers.ts'

/** Columns of the result computed together. */
const panelWidth = 256

/** `[…batch, M, K] × […batch, K, N] → […batch, M, N]`, multiplied and accumulated in float64 in the order of K. */
export function buildMatmul(call: OpCall<'matmul'>): ReferenceKernelProgram {
  const { a, b, c } = operandsOf(call)
  const rank = c.view.shape.length
  const batchShape = c.view.shape.slice(0, -2)
  const [rows, columns] = c.view.shape.slice(-2) as [number, number]
  const depth = a.view.shape[rank - 1]!
  const [aBatch, bBatch, cBatch] = [a, b, c].map(({ view }) => axisGroup(view, 0, rank - 2))
  const rowStride = (operand: Operand): number => operand.view.strides[rank - 2]!
  const alongRow = (operand: Operand): Int32Array => allPositions(axisGroup(operand.view, rank - 1, rank))
  const [aAlong, bAlong, cAlong] = [alongRow(a), alongRow(b), alongRow(c)]

  return ([aData, bData], [cData]) => {
    const aRow = new Float64Array(depth)
    const panel = new Float64Array(depth * Math.min(panelWidth, columns))
    for (let batch = 0; batch < sizeOf(batchShape); batch++) {
      const aBase = a.view.offset + positionOf(aBatch!, batch)
      const bBase = b.view.offset + positionOf(bBatch!, batch)
      const cBase = c.view.offset + positionOf(cBatch!, batch)
      for (let start = 0; start < columns; start += panelWidth) {
        const width = Math.min(panelWidth, columns - start)
        const sums = new Float64Array(width)
        const bPositions = bAlong.subarray(start, start + width)
        for (let k = 0; k < depth; k++) {
          load(b.dtype, bData!, bBase + k * rowStride(b), bPositions, width, panel.subarray(k * width))
        }
        for (let row = 0; row < rows; row++) {
          load(a.dtype, aData!, aBase + row * rowStride(a), aAlong, depth, aRow)
          multiplyRow(aRow, panel, sums)
          store(c.dtype, sums, 1, cData!, cBase + row * rowStride(c), cAlong.subarray(start, start + width), width)
        }
      }
    }
  }
}

/** `sums[j] = Σ_k row[k] · panel[k, j]`. */
function multiplyRow(row: Float64Array, panel: Float64Array, sums: Float64Array): void {
  const width = sums.length
  sums.fill(0)
  for (let k = 0; k < row.length; k++) {
    const factor = row[k]!
    const start = k * width
    for (let j = 0; j < width; j++) sums[j]! += factor * panel[start + j]!
  }
}

function operandsOf(call: OpCall<'matmul'>): { a: Operand; b: Operand; c: Operand } {
  const [a, b] = call.inputs as [Operand, Operand]
  const c = call.outputs[0]!
  const [aShape, bShape, cShape] = [a, b, c].map(({ view }) => view.shape) as [Shape, Shape, Shape]
  const batch = cShape.slice(0, -2)
  const fits =
    cShape.length >= 2 &&
    sameShape(aShape, [...batch, cShape.at(-2)!, aShape.at(-1)!]) &&
    sameShape(bShape, [...batch, aShape.at(-1)!, cShape.at(-1)!])
  if (!fits || ![a, b, c].every(({ dtype }) => isFloat(dtype))) {
    const [left, right, result] = [a, b, c].map(({ dtype, view }) => dtype + formatShape(view.shape))
    throw new TesseraError(
      'PROGRAM_INVALID',
      `matmul: ${left} × ${right} → ${result} does not fit. It takes floats […, M, K] × […, K, N] → […, M, N].`,
    )
  }
  return { a, b, c }
}
