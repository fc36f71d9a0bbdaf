import type { Operand, View } from '@tessera/core'

/** A matrix as BLAS takes it: rows of `stride` elements, read as they are or with the axes swapped. */
export interface Matrix {
  readonly transposed: boolean
  readonly stride: number
}

/** The last two axes of an operand as a BLAS matrix, or `undefined` where its strides allow none. */
export function matrixOf({ view }: Operand): Matrix | undefined {
  const [rows, columns] = view.shape.slice(-2) as [number, number]
  const [rowStride, columnStride] = view.strides.slice(-2) as [number, number]
  // The stride of an axis of extent 1 is never used.
  if ((columnStride === 1 || columns === 1) && (rowStride >= columns || rows === 1))
    return { transposed: false, stride: Math.max(1, columns, rows === 1 ? 0 : rowStride) }
  if ((rowStride === 1 || rows === 1) && (columnStride >= rows || columns === 1))
    return { transposed: true, stride: Math.max(1, rows, columns === 1 ? 0 : columnStride) }
  return undefined
}

/** Where the matrices of some operands begin, batch by batch: one row of element offsets for each batch. */
export function batchOffsets(views: readonly View[]): number[][] {
  const batches = views[0]!.shape.slice(0, -2)
  let offsets = [views.map(({ offset }) => offset)]
  batches.forEach((extent, axis) => {
    offsets = offsets.flatMap((point) =>
      Array.from({ length: extent }, (_, index) => point.map((at, i) => at + index * views[i]!.strides[axis]!)),
    )
  })
  return offsets
}
