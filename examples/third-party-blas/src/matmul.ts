import type { Kernel, OpCall, Operand, ReferenceKernelProgram } from '@tessera/core'
import { type Blas, columnMajor, plain, rowMajor, transposed } from './library.ts'
import { batchOffsets, type Matrix, matrixOf } from './matrix.ts'
import { callMicroseconds, threadGigaflops } from './speed.ts'

/** `[…batch, M, K] × […batch, K, N] → […batch, M, N]` by one call of `cblas_sgemm` or `cblas_dgemm` for each batch. */
export function matmulKernel(blas: Blas, threads: number): Kernel<'matmul', 'blas'> {
  return {
    name: 'blas/matmul',
    op: 'matmul',
    backend: 'blas',
    tolerance: 2e-6,
    cost: (call) => {
      if (!matricesOf(call)) return undefined
      const { rows, columns, depth, batches } = sizesOf(call)
      return batches * (callMicroseconds + (2 * rows * columns * depth) / (1000 * threadGigaflops * threads))
    },
    build: (call) => buildMatmul(blas, call),
  }
}

function sizesOf({ inputs: [a], outputs: [c] }: OpCall<'matmul'>) {
  const [rows, columns] = c!.view.shape.slice(-2) as [number, number]
  const batches = c!.view.shape.slice(0, -2).reduce((product, extent) => product * extent, 1)
  return { rows, columns, depth: a!.view.shape.at(-1)!, batches }
}

function matricesOf({ inputs, outputs }: OpCall<'matmul'>): [Matrix, Matrix, Matrix] | undefined {
  const operands = [...inputs, ...outputs]
  const { dtype } = operands[0]!
  const known = dtype === 'f32' || dtype === 'f64'
  if (operands.length !== 3 || !known || operands.some((operand) => operand.dtype !== dtype)) return undefined
  if (operands.some(({ view }) => view.shape.length < 2)) return undefined
  const matrices = operands.map(matrixOf)
  return matrices.some((matrix) => !matrix) ? undefined : (matrices as [Matrix, Matrix, Matrix])
}

function buildMatmul(blas: Blas, call: OpCall<'matmul'>): ReferenceKernelProgram {
  const [a, b, c] = matricesOf(call)!
  const { rows, columns, depth } = sizesOf(call)
  const operands = [...call.inputs, ...call.outputs] as readonly Operand[]
  const offsets = batchOffsets(operands.map(({ view }) => view))
  // A result that is stored with its axes swapped is a row-major matrix of the other order: BLAS calls it column-major.
  const order = c.transposed ? columnMajor : rowMajor
  const flag = (matrix: Matrix) => (matrix.transposed === c.transposed ? plain : transposed)
  const multiply = (operands[0]!.dtype === 'f32' ? blas.sgemm : blas.dgemm) as Blas['sgemm']
  return ([aData, bData], [cData]) => {
    for (const [aStart, bStart, cStart] of offsets) {
      multiply(
        order,
        flag(a),
        flag(b),
        rows,
        columns,
        depth,
        1,
        (aData as Float32Array).subarray(aStart),
        a.stride,
        (bData as Float32Array).subarray(bStart),
        b.stride,
        0,
        (cData as Float32Array).subarray(cStart),
        c.stride,
      )
    }
  }
}
