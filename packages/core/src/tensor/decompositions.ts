import { ShapeError } from '../errors.ts'
import {
  cholesky as choleskyOp,
  orthonormalBasis,
  triangularSolve as triangularSolveOp,
} from '../graph/compounds/matrices.ts'
import { promote } from '../graph/format.ts'
import { createNode, formatSpec } from '../graph/node.ts'
import { broadcastShapes } from '../graph/shape.ts'
import { eye, tensor } from './create.ts'
import { diagonal, upperTriangle } from './linear-algebra.ts'
import { concatenate } from './movement.ts'
import { floating } from './operands.ts'
import { Tensor } from './tensor.ts'

/**
 * Decompositions of matrices and what follows from them, with gradients, on every backend. They are unrolled into primitives: a program grows
 * with the matrix, so they are meant for extents up to a few hundred.
 */

/** Two operands in one format, their batches broadcast. */
function together(operation: string, a: Tensor, b: Tensor): [Tensor, Tensor] {
  if (a.rank < 2 || b.rank < 2)
    throw new ShapeError(`${operation}: takes matrices, got ${formatSpec(a)} and ${formatSpec(b)}.`)
  const batch = broadcastShapes(operation, a.shape.slice(0, -2), b.shape.slice(0, -2))
  const dtype = promote(floating(a).dtype, floating(b).dtype)
  const spread = (x: Tensor) => x.cast(dtype).expand([...batch, ...x.shape.slice(-2)])
  return [spread(a), spread(b)]
}

/**
 * The lower triangle `L` with `L · Lᵀ = x`. Only the lower part of `x` counts; NaN where it is not positive definite.
 *
 * @param x `[..., n, n]`, symmetric and positive definite
 *
 * @example
 * ```ts
 * import { cholesky, tensor } from '@tessera/core'
 * console.log(await cholesky(tensor([[4, 2], [2, 5]])).data()) // 2, 0, 1, 2
 * ```
 */
export function cholesky(x: Tensor): Tensor {
  return new Tensor(createNode(choleskyOp, [floating(x).node], {}))
}

/**
 * `X` with `triangle · X = right`; what lies on the other side of the diagonal is not read.
 *
 * @param triangle `[..., n, n]`
 * @param right `[..., n, k]`
 */
export function triangularSolve(
  triangle: Tensor,
  right: Tensor,
  { upper = false }: { readonly upper?: boolean } = {},
): Tensor {
  const [t, b] = together('triangularSolve', triangle, right)
  return new Tensor(createNode(triangularSolveOp, [t.node, b.node], { upper }))
}

/**
 * `x = q · r` with orthonormal columns in `q` and an upper triangle `r`, by Householder's reflections.
 *
 * @param x `[..., m, n]`
 * @returns `q [..., m, k]` and `r [..., k, n]` with `k = min(m, n)`
 */
export function qr(x: Tensor): { q: Tensor; r: Tensor } {
  if (x.rank < 2) throw new ShapeError(`qr: takes matrices, got ${formatSpec(x)}.`)
  const value = floating(x)
  const [m, n] = x.shape.slice(-2) as [number, number]
  const square = m < n ? value.slice(-1, 0, m) : value
  const q = new Tensor(createNode(orthonormalBasis, [square.node], {}))
  const r = upperTriangle(q.transpose().matmul(square))
  if (m >= n) return { q, r }
  return { q, r: concatenate([r, q.transpose().matmul(value.slice(-1, m))], -1) }
}

function requireSquare(operation: string, x: Tensor): void {
  if (x.rank < 2 || x.shape.at(-1) !== x.shape.at(-2))
    throw new ShapeError(`${operation}: takes square matrices, got ${formatSpec(x)}.`)
}

/**
 * `X` with `x · X = right`, through the QR decomposition, which needs no pivots.
 *
 * @param x `[..., n, n]`
 * @param right `[..., n, k]`
 */
export function solve(x: Tensor, right: Tensor): Tensor {
  requireSquare('solve', x)
  return leastSquares(x, right)
}

/**
 * `X` with the smallest squared distance of `x · X` from `right`.
 *
 * @param x `[..., m, n]` of full rank, `m ≥ n`
 * @param right `[..., m, k]`
 */
export function leastSquares(x: Tensor, right: Tensor): Tensor {
  const [a, b] = together('leastSquares', x, right)
  if (a.shape.at(-2)! < a.shape.at(-1)! || a.shape.at(-2) !== b.shape.at(-2)) {
    throw new ShapeError(
      `leastSquares: takes at least as many rows as columns, and as many right-hand rows, got ${formatSpec(x)} and ${formatSpec(right)}.`,
    )
  }
  const { q, r } = qr(a)
  return triangularSolve(r, q.transpose().matmul(b), { upper: true })
}

/** The inverse of square matrices. Where it is multiplied at once, `solve` is cheaper and more exact. */
export function inverse(x: Tensor): Tensor {
  requireSquare('inverse', x)
  return solve(x, eye(x.shape.at(-1)!, x.shape.at(-1)!, floating(x).dtype))
}

/** The determinant of square matrices. Its gradient is not defined for singular ones. */
export function determinant(x: Tensor): Tensor {
  requireSquare('determinant', x)
  const sign = x.shape.at(-1)! % 2 === 0 ? 1 : -1
  // Each reflection changes the sign.
  return diagonal(qr(x).r).product(-1).multiply(sign)
}

/** Sign and logarithm of the magnitude of the determinant, which does not overflow. */
export function logDeterminant(x: Tensor): { sign: Tensor; logMagnitude: Tensor } {
  requireSquare('logDeterminant', x)
  const parts = diagonal(qr(x).r)
  const sign = x.shape.at(-1)! % 2 === 0 ? 1 : -1
  return { sign: parts.sign().product(-1).multiply(sign), logMagnitude: parts.abs().log().sum(-1) }
}

/** How many sweeps of Jacobi's rotations are made at most; convergence is quadratic and takes six to ten. */
const maximumSweeps = 60

/**
 * The singular value decomposition `x = u · diag(s) · vᵀ` on the host, in float64 by one-sided Jacobi rotations (Hestenes 1958): reads the tensor,
 * so it cannot stand in a traced function, and has no gradient.
 *
 * @param x `[m, n]`
 * @returns `u [m, k]`, `s [k]` in descending order and `v [n, k]` with `k = min(m, n)`, in the format of `x`
 */
export async function svd(x: Tensor): Promise<{ u: Tensor; s: Tensor; v: Tensor }> {
  if (x.rank !== 2) throw new ShapeError(`svd: takes a matrix, got ${formatSpec(x)}.`)
  const [m, n] = x.shape as [number, number]
  if (m < n) {
    const { u, s, v } = await svd(x.transpose())
    return { u: v, s, v: u }
  }
  const dtype = floating(x).dtype
  const data = await x.cast('f64').data()
  const columns = Array.from({ length: n }, (_, j) => Float64Array.from({ length: m }, (_, i) => data[i * n + j]!))
  const rotations = Array.from({ length: n }, (_, j) => Float64Array.from({ length: n }, (_, i) => Number(i === j)))
  for (let sweep = 0; sweep < maximumSweeps && rotateAll(columns, rotations); sweep++);
  const lengths = columns.map((column) => Math.hypot(...column))
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]!)
  const pack = (vectors: readonly Float64Array[], rows: number) =>
    tensor(
      Float64Array.from({ length: rows * n }, (_, at) => vectors[at % n]![Math.floor(at / n)]!),
      [rows, n],
    ).cast(dtype)
  return {
    u: pack(
      order.map((j) => columns[j]!.map((value) => (lengths[j]! > 0 ? value / lengths[j]! : 0))),
      m,
    ),
    s: tensor(Float64Array.from(order, (j) => lengths[j]!)).cast(dtype),
    v: pack(
      order.map((j) => rotations[j]!),
      n,
    ),
  }
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
