import { isRowMajor, type OpCall, type Operand, ownInputs, sizeOf } from '@tessera/core'
import { canFinish } from '../../fused/finish.ts'
import { laneOf } from '../../wgsl/formats.ts'

/** A product `x · wᵀ` with the rows of x in a line, and the places of its operands. */
export interface QuantizedProblem {
  readonly x: Operand
  readonly values: Operand
  readonly scales: Operand
  readonly bits: 8 | 4
  readonly block: number
  readonly rows: number
  /** Numbers in a row of w, and rows of w. */
  readonly depth: number
  readonly columns: number
}

/** `undefined` for calls that no shader of this folder computes. */
export function quantizedProblem(call: OpCall<'quantizedMatmul'>): QuantizedProblem | undefined {
  const [x, values, scales] = ownInputs(call as unknown as OpCall)
  if (!x || !values || !scales || !call.outputs[0]) return undefined
  const { bits, block } = call.attributes
  const depth = x.view.shape.at(-1) ?? 0
  const columns = values.view.shape[0] ?? 0
  const fits =
    x.dtype === 'f32' &&
    values.dtype === (bits === 8 ? 'i8' : 'u8') &&
    scales.dtype === 'f32' &&
    [x, values, scales].every(({ view }) => sizeOf(view.shape) > 0) &&
    [...call.inputs, ...call.outputs].every(({ dtype }) => laneOf(dtype) !== undefined) &&
    (call.epilogue !== undefined || call.outputs[0].dtype === 'f32') &&
    // Words hold numbers of one block.
    (bits === 8 ? block % 4 === 0 : block % 8 === 0) &&
    isRowMajor(values.view) &&
    values.view.offset % 4 === 0 &&
    canFinish(call as unknown as OpCall)
  if (!fits) return undefined
  const rows = sizeOf(x.view.shape.slice(0, -1))
  return { x, values, scales, bits, block, rows, depth, columns }
}
