import { sizeOf } from '../../../graph/shape.ts'
import type { HostTensor } from '../host.ts'

/** References of decompositions by the textbook's loops, for each matrix of a batch. */

type Matrix = number[][]

function eachMatrix(x: HostTensor, apply: (matrix: Matrix, position: number) => Matrix): HostTensor {
  const [rows, columns] = x.shape.slice(-2) as [number, number]
  const batch = x.shape.slice(0, -2)
  const results = Array.from({ length: sizeOf(batch) }, (_, k) => apply(matrixAt(x, k, rows, columns), k))
  const first = results[0]!
  return { shape: [...batch, first.length, first[0]?.length ?? 0], data: Float64Array.from(results.flat(2)) }
}

function matrixAt(x: HostTensor, k: number, rows: number, columns: number): Matrix {
  return Array.from({ length: rows }, (_, i) =>
    Array.from(x.data.subarray((k * rows + i) * columns, (k * rows + i + 1) * columns)),
  )
}

/** Row by row (Cholesky and Banachiewicz). */
export function choleskyOf(x: HostTensor): HostTensor {
  return eachMatrix(x, (a) => {
    const factor = a.map((row) => row.map(() => 0))
    for (let i = 0; i < a.length; i++) {
      for (let j = 0; j <= i; j++) {
        let rest = a[i]![j]!
        for (let k = 0; k < j; k++) rest -= factor[i]![k]! * factor[j]![k]!
        factor[i]![j] = i === j ? Math.sqrt(rest) : rest / factor[j]![j]!
      }
    }
    return factor
  })
}

/** Gauss's elimination with pivots; tells the determinant as well. */
function eliminate(a: Matrix, b: Matrix): number {
  let determinant = 1
  const n = a.length
  for (let j = 0; j < n; j++) {
    let pivot = j
    for (let i = j + 1; i < n; i++) if (Math.abs(a[i]![j]!) > Math.abs(a[pivot]![j]!)) pivot = i
    if (pivot !== j) {
      determinant = -determinant
      for (const matrix of [a, b]) [matrix[j], matrix[pivot]] = [matrix[pivot]!, matrix[j]!]
    }
    determinant *= a[j]![j]!
    for (let i = 0; i < n; i++) {
      if (i === j) continue
      const factor = a[i]![j]! / a[j]![j]!
      for (let k = j; k < n; k++) a[i]![k]! -= factor * a[j]![k]!
      for (let k = 0; k < b[i]!.length; k++) b[i]![k]! -= factor * b[j]![k]!
    }
  }
  for (let i = 0; i < n; i++) b[i] = b[i]!.map((value) => value / a[i]![i]!)
  return determinant
}

export function solveOf(x: HostTensor, right: HostTensor): HostTensor {
  const [rows, columns] = right.shape.slice(-2) as [number, number]
  return eachMatrix(x, (a, k) => {
    const b = matrixAt(right, k, rows, columns)
    eliminate(a, b)
    return b
  })
}

export function determinantOf(x: HostTensor): HostTensor {
  const values = eachMatrix(x, (a) => [
    [
      eliminate(
        a,
        a.map(() => []),
      ),
    ],
  ])
  return { shape: x.shape.slice(0, -2), data: values.data }
}

/** Gram and Schmidt's process, twice over for accuracy, with the signs of Householder's reflections: the diagonal of `r` is opposed to the column. */
export function qrOf(x: HostTensor): { q: HostTensor; r: HostTensor } {
  const q = eachMatrix(x, (a) => orthonormal(a))
  const r = eachMatrix(x, (a) => {
    const basis = orthonormal(a)
    return basis[0]!.map((_, j) =>
      a[0]!.map((__, k) => (k < j ? 0 : a.reduce((sum, row, i) => sum + basis[i]![j]! * row[k]!, 0))),
    )
  })
  return { q, r }
}

function orthonormal(a: Matrix): Matrix {
  const count = Math.min(a.length, a[0]!.length)
  const columns: number[][] = []
  const dot = (u: readonly number[], v: readonly number[]) => u.reduce((sum, value, i) => sum + value * v[i]!, 0)
  for (let j = 0; j < count; j++) {
    let column = a.map((row) => row[j]!)
    for (let pass = 0; pass < 2; pass++)
      for (const other of columns) {
        const share = dot(other, column)
        column = column.map((value, i) => value - share * other[i]!)
      }
    const length = Math.sqrt(dot(column, column))
    columns.push(column.map((value) => value / length))
  }
  const signs = householderSigns(a, count)
  return a.map((_, i) => columns.map((column, j) => column[i]! * signs[j]!))
}

/** The sign of each diagonal element of `r`: opposed to the leading element that a reflection finds. */
function householderSigns(a: Matrix, count: number): number[] {
  const rest = a.map((row) => [...row])
  const signs: number[] = []
  for (let j = 0; j < count; j++) {
    const length = Math.sqrt(rest.slice(j).reduce((sum, row) => sum + row[j]! ** 2, 0))
    const sign = rest[j]![j]! < 0 ? 1 : -1
    signs.push(sign)
    const vector = rest.map((row, i) => (i < j ? 0 : row[j]! - (i === j ? sign * length : 0)))
    const squares = vector.reduce((sum, value) => sum + value * value, 0)
    for (let k = j; k < rest[0]!.length; k++) {
      const share = (2 * rest.reduce((sum, row, i) => sum + row[k]! * vector[i]!, 0)) / squares
      rest.forEach((row, i) => {
        row[k]! -= share * vector[i]!
      })
    }
  }
  return signs
}
