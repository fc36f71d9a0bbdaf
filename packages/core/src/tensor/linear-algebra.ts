import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { formatSpec, type Node } from '../graph/node.ts'
import { normalizeAxis } from '../graph/shape.ts'
import { where } from './indexing.ts'
import { concatenate } from './movement.ts'
import { Tensor } from './tensor.ts'

/** The method `matmul` as a function. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  return a.matmul(b)
}

/** Σ a · b over the last axes, which are equal; the other axes broadcast. */
export function dot(a: Tensor, b: Tensor): Tensor {
  if (a.rank === 0 || b.rank === 0 || a.shape.at(-1) !== b.shape.at(-1))
    throw new ShapeError(`dot: the last axes of ${formatSpec(a)} and ${formatSpec(b)} must be equal.`)
  return a.multiply(b).sum(-1)
}

/** a[…, i] · b[…, j]: `[..., M] × [..., N] → [..., M, N]`. */
export function outer(a: Tensor, b: Tensor): Tensor {
  return a.unsqueeze(-1).multiply(b.unsqueeze(-2))
}

/** The cross product of vectors of three in the last axis. */
export function cross(a: Tensor, b: Tensor): Tensor {
  if (a.shape.at(-1) !== 3 || b.shape.at(-1) !== 3)
    throw new ShapeError(`cross: the last axes of ${formatSpec(a)} and ${formatSpec(b)} must have extent 3.`)
  const part = (x: Tensor, i: number) => x.slice(-1, i, i + 1)
  const component = (i: number, j: number) =>
    part(a, i)
      .multiply(part(b, j))
      .subtract(part(a, j).multiply(part(b, i)))
  return concatenate([component(1, 2), component(2, 0), component(0, 1)], -1)
}

/** Kronecker's product of matrices: `[M, N] × [P, Q] → [M · P, N · Q]`. */
export function kron(a: Tensor, b: Tensor): Tensor {
  if (a.rank !== 2 || b.rank !== 2)
    throw new ShapeError(`kron: takes two matrices, got ${formatSpec(a)} and ${formatSpec(b)}.`)
  const [m, n] = a.shape as [number, number]
  const [p, q] = b.shape as [number, number]
  return a
    .reshape([m, 1, n, 1])
    .multiply(b.reshape([1, p, 1, q]))
    .reshape([m * p, n * q])
}

function matrixAxes(operation: string, x: Tensor): [rows: number, columns: number] {
  if (x.rank < 2) throw new ShapeError(`${operation}: takes matrices, got ${formatSpec(x)}.`)
  return [x.shape.at(-2)!, x.shape.at(-1)!]
}

/** Elements of matrices whose column is `offset` more than their row, as the last axis. */
export function diagonal(x: Tensor, offset = 0, axes: readonly [number, number] = [-2, -1]): Tensor {
  const [first, second] = axes.map((axis) => normalizeAxis('diagonal', axis, x.rank)) as [number, number]
  if (first === second) throw new ShapeError(`diagonal: axes ${axes.join(' and ')} of ${formatSpec(x)} are one.`)
  const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== first && axis !== second)
  const matrices = x.transpose([...others, first, second])
  const [rows, columns] = matrixAxes('diagonal', matrices)
  const [top, left] = [Math.max(0, -offset), Math.max(0, offset)]
  const length = Math.max(0, Math.min(rows - top, columns - left))
  const block = matrices.slice(-2, top, top + length).slice(-1, left, left + length)
  if (length === 0) return block.sum(-2)
  // In a flat square of n columns the diagonal is every (n + 1)-th element.
  const batch = block.shape.slice(0, -2)
  return block.reshape([...batch, length * length]).slice(-1, 0, undefined, length + 1)
}

/** Matrices with the last axis on a diagonal and zeros elsewhere. */
export function diagonalMatrix(x: Tensor, offset = 0): Tensor {
  if (x.rank === 0) throw new ShapeError(`diagonalMatrix: takes at least one axis, got ${formatSpec(x)}.`)
  const length = x.shape.at(-1)!
  const shape = [length, length]
  const isDiagonal = new Tensor(build.binary('equal', build.axisIndex(shape, 0), build.axisIndex(shape, 1)))
  const square = where(isDiagonal, x.unsqueeze(-1), 0)
  if (offset === 0) return square
  const [top, left] = [Math.max(0, -offset), Math.max(0, offset)]
  const still = x.shape.slice(0, -1).map((): [number, number] => [0, 0])
  return square.pad([...still, [top, left], [left, top]])
}

/** The sum of a diagonal. */
export function trace(x: Tensor, offset = 0): Tensor {
  return diagonal(x, offset).sum(-1)
}

/** The part of matrices on and below a diagonal, zeros elsewhere. */
export function lowerTriangle(x: Tensor, offset = 0): Tensor {
  return triangular('lowerTriangle', x, (row, column) => build.binary('lessEqual', column, build.add(row, offset)))
}

/** The part of matrices on and above a diagonal, zeros elsewhere. */
export function upperTriangle(x: Tensor, offset = 0): Tensor {
  return triangular('upperTriangle', x, (row, column) => build.binary('lessEqual', build.add(row, offset), column))
}

function triangular(operation: string, x: Tensor, isKept: (row: Node, column: Node) => Node): Tensor {
  const shape = matrixAxes(operation, x)
  return where(new Tensor(isKept(build.axisIndex(shape, 0), build.axisIndex(shape, 1))), x, 0)
}

/** The product of a square matrix with itself, `exponent` ≥ 0 times, by repeated squaring. */
export function matrixPower(x: Tensor, exponent: number): Tensor {
  const [rows, columns] = matrixAxes('matrixPower', x)
  if (rows !== columns || !Number.isInteger(exponent) || exponent < 0)
    throw new ShapeError(
      `matrixPower: takes square matrices and an integer that is not negative, got ${formatSpec(x)} and ${exponent}.`,
    )
  let result: Tensor | undefined
  let square = x
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = result ? result.matmul(square) : square
    if (rest > 1) square = square.matmul(square)
  }
  if (result) return result
  const shape = [rows, columns]
  const identity = build.binary('equal', build.axisIndex(shape, 0), build.axisIndex(shape, 1))
  return new Tensor(build.cast(identity, x.dtype)).expand(x.shape)
}
