import { ShapeError } from '../../errors.ts'
import type { HostTensor, OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  axisIndex,
  binary,
  divide,
  matmul,
  multiply,
  outputOf,
  reshape,
  square,
  subtract,
  transposeLast,
  where,
} from '../build.ts'
import type { TypedArray } from '../format.ts'
import { createNode, formatSpec, type Node, type TensorSpec } from '../node.ts'
import type { Empty } from '../operations.ts'
import { sizeOf } from '../shape.ts'

/** Attributes of the op in this file. */
export interface SingularValueAttributes {
  /** Input `[..., m, n]`, `m ≥ n`; gives `u [..., m, n]`, `s [..., n]` in descending order and `v [..., n, n]` with the input equal to `u · diag(s) · vᵀ`. */
  singularValues: Empty
}

/** How many sweeps of Jacobi's rotations are made at most; convergence is quadratic and takes six to ten. */
const maximumSweeps = 60

function shapeOf(x: TensorSpec | undefined): readonly TensorSpec[] {
  const [rows, columns] = x?.shape.slice(-2) ?? []
  if (!x || columns === undefined || rows! < columns || (x.dtype !== 'f32' && x.dtype !== 'f64')) {
    throw new ShapeError(
      `singularValues: takes f32 or f64 matrices with at least as many rows as columns, got ${x ? formatSpec(x) : 'nothing'}.`,
    )
  }
  const { shape, dtype } = x
  const outer = shape.slice(0, -2)
  return [
    { shape, dtype },
    { shape: [...outer, columns], dtype },
    { shape: [...outer, columns, columns], dtype },
  ]
}

/**
 * The gradient of Townsend, "Differentiating the singular value decomposition" (2016), equations 38 to 41. It is defined where singular values are above 0
 * and distinct; terms of equal ones are left out, which is right for what does not depend on the choice of their vectors.
 */
function pullBack(u: Node, s: Node, v: Node, cotangents: readonly (Node | undefined)[]): Node {
  const [gu, gs, gv] = cotangents
  const n = s.shape.at(-1)!
  const [column, row] = [reshape(s, [...s.shape, 1]), reshape(s, [...s.shape.slice(0, -1), 1, n])]
  const difference = subtract(square(row), square(column))
  const isEqual = binary('equal', difference, 0)
  const factor = where(isEqual, 0, divide(1, where(isEqual, 1, difference)))
  const skew = (x: Node, g: Node) => {
    const inner = matmul(transposeLast(x), g)
    return multiply(factor, subtract(inner, transposeLast(inner)))
  }
  const outside = (x: Node, g: Node) => subtract(g, matmul(x, matmul(transposeLast(x), g)))
  const isDiagonal = binary('equal', axisIndex([n, n], 0), axisIndex([n, n], 1))
  let middle = gs ? where(isDiagonal, reshape(gs, [...gs.shape, 1]), 0) : undefined
  const include = (term: Node) => {
    middle = middle ? add(middle, term) : term
  }
  if (gu) include(multiply(skew(u, gu), row))
  if (gv) include(multiply(column, skew(v, gv)))
  let left = matmul(u, middle!)
  if (gu) left = add(left, divide(outside(u, gu), row))
  const result = matmul(left, transposeLast(v))
  return gv ? add(result, matmul(u, divide(transposeLast(outside(v, gv)), column))) : result
}

/** On the host in float64, by one-sided Jacobi rotations (Hestenes 1958). */
export const singularValues: OpDefinition<'singularValues'> = {
  op: 'singularValues',
  shape: ([x]) => shapeOf(x),
  host: ([x]) => decompose(x!),
  vjp: ({ outputs: [u, s, v], cotangents }) => [
    cotangents.some((gradient) => gradient) ? pullBack(u!, s!, v!, cotangents) : undefined,
  ],
  batch: ({ spread }) => {
    const node = createNode(singularValues, [spread(0)], {})
    return [0, 1, 2].map((i) => outputOf(node, i))
  },
}

function decompose({ data, shape, dtype }: HostTensor): TypedArray[] {
  const [m, n] = shape.slice(-2) as [number, number]
  const count = sizeOf(shape.slice(0, -2))
  const ArrayType = dtype === 'f64' ? Float64Array : Float32Array
  const [u, s, v] = [count * m * n, count * n, count * n * n].map((size) => new ArrayType(size)) as [
    TypedArray,
    TypedArray,
    TypedArray,
  ]
  for (let k = 0; k < count; k++) {
    const at = (i: number, j: number) => data[(k * m + i) * n + j]!
    const columns = Array.from({ length: n }, (_, j) => Float64Array.from({ length: m }, (__, i) => at(i, j)))
    const rotations = columns.map((_, j) => Float64Array.from({ length: n }, (__, i) => Number(i === j)))
    for (let sweep = 0; sweep < maximumSweeps && rotateAll(columns, rotations); sweep++);
    const lengths = columns.map((column) => Math.hypot(...column))
    const order = lengths.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]!)
    order.forEach((from, to) => {
      const length = lengths[from]!
      s[k * n + to] = length
      for (let i = 0; i < m; i++) u[(k * m + i) * n + to] = length > 0 ? columns[from]![i]! / length : 0
      for (let i = 0; i < n; i++) v[(k * n + i) * n + to] = rotations[from]![i]!
    })
  }
  return [u, s, v]
}

/** One sweep over all pairs of columns; tells whether any was not orthogonal yet. */
function rotateAll(columns: readonly Float64Array[], rotations: readonly Float64Array[]): boolean {
  let changed = false
  for (let p = 0; p < columns.length; p++) {
    for (let q = p + 1; q < columns.length; q++) {
      const [a, b] = [columns[p]!, columns[q]!]
      let [alpha, beta, gamma] = [0, 0, 0]
      for (let i = 0; i < a.length; i++) {
        alpha += a[i]! * a[i]!
        beta += b[i]! * b[i]!
        gamma += a[i]! * b[i]!
      }
      if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) continue
      changed = true
      const zeta = (beta - alpha) / (2 * gamma)
      const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta))
      const cosine = 1 / Math.sqrt(1 + t * t)
      for (const [left, right] of [
        [a, b],
        [rotations[p]!, rotations[q]!],
      ] as const)
        rotate(left, right, cosine, cosine * t)
    }
  }
  return changed
}

function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!]
    a[i] = cosine * x - sine * y
    b[i] = sine * x + cosine * y
  }
}
