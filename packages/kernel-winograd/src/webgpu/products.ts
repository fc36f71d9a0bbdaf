import type { WebGpuDispatch } from '@tessera/backend-webgpu'
import { planMatmul } from '@tessera/backend-webgpu/kernel'
import type { FusedBody, OpCall, Operand, View } from '@tessera/core'
import type { Matrices, Place } from './transforms.ts'

/** One side of the products: matrices, of which `extents` are taken, possibly transposed. */
export interface Side {
  readonly matrices: Matrices
  readonly extents: readonly [rows: number, columns: number]
  readonly isTransposed?: boolean
}

/**
 * The products of α² pairs of matrices by the backend's own shaders for products, `target = left · right`.
 *
 * @param adds adds to what the target holds
 */
export function multiply(
  left: Side,
  right: Side,
  target: Matrices,
  products: number,
  adds: boolean,
  { environment, memory }: Place,
): readonly WebGpuDispatch[] {
  const places = new Map<Operand, Matrices>()
  const operandOf = ({ matrices, extents: [rows, columns], isTransposed = false }: Side): Operand => {
    const { pitch } = matrices
    const strides = [matrices.rows * pitch, ...(isTransposed ? [1, pitch] : [pitch, 1])]
    const view: View = { shape: [products, rows, columns], strides, offset: 0 }
    // Buffers that no program has.
    const operand: Operand = { buffer: -1 - places.size, dtype: 'f32', view }
    places.set(operand, matrices)
    return operand
  }
  const [a, b] = [operandOf(left), operandOf(right)]
  const c = operandOf({ matrices: target, extents: [target.rows, right.extents[1]] })
  const shape = c.view.shape
  const call: OpCall<'matmul'> = {
    op: 'matmul',
    attributes: {},
    inputs: adds ? [a, b, c] : [a, b],
    outputs: [c],
    ...(adds && { epilogue: { firstInput: 2, result: { shape, dtype: 'f32' }, body: addition(shape) } }),
  }
  return planMatmul(call, environment, {
    scratch: (bytes) => memory.scratch(bytes),
    constants: (words) => memory.constants(words),
    locate: (operand) => ({ range: places.get(operand)!.range, firstByte: 0 }),
  }).dispatches
}

/** The result and what is there already. */
const addition = (domain: readonly number[]): FusedBody => ({
  domain,
  kind: 'map',
  rowAxes: 0,
  reducedStart: 0,
  reducedEnd: 0,
  instructions: [
    { kind: 'load', input: 0, dtype: 'f32' },
    { kind: 'load', input: 1, dtype: 'f32' },
    { kind: 'compute', op: 'add', arguments: [0, 1], dtype: 'f32' },
  ],
  stores: [2],
})
