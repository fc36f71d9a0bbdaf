import { ShapeError } from '../errors.ts'
import { outputOf } from '../graph/build.ts'
import {
  cholesky as choleskyOp,
  orthonormalBasis,
  triangularSolve as triangularSolveOp,
} from '../graph/compounds/matrices.ts'
import { singularValues } from '../graph/compounds/singular-values.ts'
import { promote } from '../graph/format.ts'
import { createNode, formatSpec } from '../graph/node.ts'
import { broadcastShapes } from '../graph/shape.ts'
import { eye } from './create.ts'
import { where } from './indexing.ts'
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

/**
 * The singular value decomposition `x = u · diag(s) · vᵀ`, computed on the host in float64 by one-sided Jacobi rotations (Hestenes 1958): on every backend, also
 * inside of `jit`, at the price of a way to the host and back. Its gradient (Townsend 2016) is defined where singular values are above 0 and distinct. Where
 * some are equal, it is right for results that do not depend on the choice of their vectors, such as `s` itself; close ones magnify errors by one over
 * their difference. The sign of each pair of vectors is arbitrary.
 *
 * @param x `[..., m, n]`
 * @returns `u [..., m, k]`, `s [..., k]` in descending order and `v [..., n, k]` with `k = min(m, n)`, in the format of `x`
 *
 * @example
 * ```ts
 * import { svd, tensor } from '@tessera/core'
 * console.log(await svd(tensor([[3, 0], [0, -4]])).s.data()) // 4, 3
 * ```
 */
export function svd(x: Tensor): { u: Tensor; s: Tensor; v: Tensor } {
  if (x.rank < 2) throw new ShapeError(`svd: takes matrices, got ${formatSpec(x)}.`)
  if (x.shape.at(-2)! < x.shape.at(-1)!) {
    const { u, s, v } = svd(x.transpose())
    return { u: v, s, v: u }
  }
  const { dtype } = floating(x)
  const node = createNode(singularValues, [x.cast(dtype === 'f64' ? dtype : 'f32').node], {})
  const [u, s, v] = [0, 1, 2].map((i) => new Tensor(outputOf(node, i)).cast(dtype)) as [Tensor, Tensor, Tensor]
  return { u, s, v }
}

/**
 * The inverse of Moore and Penrose by the singular value decomposition: singular values of at most `cutoff` times the largest one count as 0.
 *
 * @param x `[..., m, n]`
 * @returns `[..., n, m]`
 */
export function pseudoInverse(x: Tensor, cutoff = 1e-6): Tensor {
  const { u, s, v } = svd(x)
  const isKept = s.greater(s.max(-1, { keepDims: true }).multiply(cutoff))
  const inverted = where(isKept, where(isKept, s, 1).reciprocal(), 0)
  return v.multiply(inverted.unsqueeze(-2)).matmul(u.transpose())
}
