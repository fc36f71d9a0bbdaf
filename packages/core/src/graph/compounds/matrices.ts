import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  axisIndex,
  binary,
  broadcastTo,
  cast,
  concatenate,
  divide,
  matmul,
  multiply,
  negate,
  pad,
  reciprocal,
  slice,
  squareRoot,
  subtract,
  sum,
  transposeLast,
  where,
} from '../build.ts'
import { isFloat } from '../format.ts'
import { createNode, formatSpec, type Node, type TensorSpec } from '../node.ts'
import type { Empty } from '../operations.ts'
import { sameShape } from '../shape.ts'
import { inSingle } from './smooth.ts'

/** Attributes of the ops in this file. They are unrolled, so that every backend runs them: a graph grows with the matrix. */
export interface MatrixAttributes {
  /** Input symmetric positive definite matrices `[..., n, n]`; gives lower triangles `L` with `L · Lᵀ` equal to the input. */
  cholesky: Empty
  /** Inputs a lower (or upper) triangle `T [..., n, n]` and `B [..., n, k]`; gives `X` with `T · X = B`. What lies beside the triangle is not read. */
  triangularSolve: { readonly upper: boolean }
  /** Input `A [..., m, n]`, `m ≥ n`; gives `Q [..., m, n]` with orthonormal columns such that `Qᵀ · A` is an upper triangle. */
  orthonormalBasis: Empty
}

/** Diagonal blocks of this extent are inverted; everything else are matrix products. */
const blockExtent = 16

function requireMatrix(
  op: string,
  x: TensorSpec | undefined,
  fits: (rows: number, columns: number) => boolean,
  what: string,
) {
  const rank = x?.shape.length ?? 0
  if (!x || rank < 2 || !isFloat(x.dtype) || !fits(x.shape[rank - 2]!, x.shape[rank - 1]!))
    throw new ShapeError(`${op}: takes ${what} of floats, got ${x ? formatSpec(x) : 'nothing'}.`)
  return x
}

const isSquare = (rows: number, columns: number): boolean => rows === columns
const extentOf = (x: Node): number => x.shape.at(-1)!

/** Rows and columns from `(row, column)` on. */
function block(x: Node, row: number, rows: number, column: number, columns: number): Node {
  const batch = x.shape.slice(0, -2)
  return slice(x, [...batch.map(() => 0), row, column], [...batch, rows, columns])
}

/** Ones where row and column compare as asked. */
function mask(x: Node, compare: 'less' | 'lessEqual' | 'equal'): Node {
  const shape = x.shape.slice(-2)
  return binary(compare, axisIndex(shape, 1), axisIndex(shape, 0))
}

/** The part on and below the diagonal. */
export const lowerPart = (x: Node): Node => where(mask(x, 'lessEqual'), x, 0)
const strictlyLowerPart = (x: Node): Node => where(mask(x, 'less'), x, 0)

/** Column by column, each taken off what remains: A ← A − l · lᵀ. */
function choleskyOfBlock(x: Node): Node {
  const n = extentOf(x)
  let rest = x
  const columns: Node[] = []
  for (let j = 0; j < n; j++) {
    const column = divide(block(rest, 0, n, j, 1), squareRoot(block(rest, j, 1, j, 1)))
    const isBelow = binary('lessEqual', j, axisIndex([n, 1], 0))
    const kept = where(isBelow, column, 0)
    columns.push(kept)
    if (j + 1 < n) rest = subtract(rest, multiply(kept, transposeLast(kept)))
  }
  return concatenate(columns, x.shape.length - 1)
}

function choleskyFactor(x: Node): Node {
  const n = extentOf(x)
  if (n <= blockExtent) return choleskyOfBlock(x)
  const half = blockExtent * Math.ceil(n / blockExtent / 2)
  const rest = n - half
  const top = choleskyFactor(block(x, 0, half, 0, half))
  const left = transposeLast(solveLower(top, transposeLast(block(x, half, rest, 0, half))))
  const corner = choleskyFactor(subtract(block(x, half, rest, half, rest), matmul(left, transposeLast(left))))
  const rank = x.shape.length
  const still = x.shape.slice(0, -1).map(() => 0)
  const wide = pad(top, [...still, 0], [...still, rest])
  return concatenate([wide, concatenate([left, corner], rank - 1)], rank - 2)
}

/** Inverse of lower triangles, by doubling: [[A, 0], [C, B]]⁻¹ is [[A⁻¹, 0], [−B⁻¹ · C · A⁻¹, B⁻¹]]. */
function invertLower(x: Node): Node {
  const n = extentOf(x)
  if (n === 1) return reciprocal(x)
  const half = Math.ceil(n / 2)
  const rest = n - half
  const first = invertLower(block(x, 0, half, 0, half))
  const second = invertLower(block(x, half, rest, half, rest))
  const corner = negate(matmul(second, matmul(block(x, half, rest, 0, half), first)))
  const rank = x.shape.length
  const still = x.shape.slice(0, -1).map(() => 0)
  return concatenate([pad(first, [...still, 0], [...still, rest]), concatenate([corner, second], rank - 1)], rank - 2)
}

/** Forward substitution by blocks. */
function solveLower(triangle: Node, right: Node): Node {
  const n = extentOf(triangle)
  const columns = extentOf(right)
  const rank = right.shape.length
  let solved: Node | undefined
  for (let start = 0; start < n; start += blockExtent) {
    const extent = Math.min(blockExtent, n - start)
    let target = block(right, start, extent, 0, columns)
    if (solved) target = subtract(target, matmul(block(triangle, start, extent, 0, start), solved))
    const part = matmul(invertLower(block(triangle, start, extent, start, extent)), target)
    solved = solved ? concatenate([solved, part], rank - 2) : part
  }
  return solved ?? right
}

/** Rows and columns in reverse order make a lower triangle of an upper one. */
function reversed(x: Node, axes: readonly number[]): Node {
  const rank = x.shape.length
  const flipped = axes.map((axis) => axis + rank)
  return slice(
    x,
    x.shape.map((extent, axis) => (flipped.includes(axis) ? Math.max(0, extent - 1) : 0)),
    x.shape,
    x.shape.map((_, axis) => (flipped.includes(axis) ? -1 : 1)),
  )
}

export const triangularSolve: OpDefinition<'triangularSolve'> = {
  op: 'triangularSolve',
  shape: ([triangle, right]) => {
    const t = requireMatrix('triangularSolve', triangle, isSquare, 'square matrices')
    const fits = (rows: number) => rows === t.shape.at(-1)
    const b = requireMatrix(
      'triangularSolve',
      right,
      fits,
      `matrices of ${t.shape.at(-1)} rows beside ${formatSpec(t)}`,
    )
    if (t.dtype !== b.dtype || !sameShape(t.shape.slice(0, -2), b.shape.slice(0, -2)))
      throw new ShapeError(
        `triangularSolve: ${formatSpec(t)} and ${formatSpec(b)} must have one format and equal batches.`,
      )
    return [{ shape: b.shape, dtype: b.dtype }]
  },
  lower: (inputs, { upper }) => {
    const [triangle, right] = inputs.map(inSingle) as [Node, Node]
    const solved = upper
      ? reversed(solveLower(reversed(triangle, [-2, -1]), reversed(right, [-2])), [-2])
      : solveLower(triangle, right)
    return [cast(solved, inputs[1]!.dtype)]
  },
  vjp: ({ inputs: [triangle], outputs: [x], cotangents: [gradient], attributes: { upper } }) => {
    const right = createNode(triangularSolve, [transposeLast(triangle!), gradient!], { upper: !upper })
    const whole = negate(matmul(right, transposeLast(x!)))
    return [upper ? transposeLast(lowerPart(transposeLast(whole))) : lowerPart(whole), right]
  },
}

export const cholesky: OpDefinition<'cholesky'> = {
  op: 'cholesky',
  shape: ([x]) => {
    const { shape, dtype } = requireMatrix('cholesky', x, isSquare, 'square matrices')
    return [{ shape, dtype }]
  },
  lower: ([x]) => [extentOf(x!) === 0 ? x! : cast(choleskyFactor(inSingle(x!)), x!.dtype)],
  // I. Murray, "Differentiation of the Cholesky decomposition" (2016), section 3.
  vjp: ({ outputs: [factor], cotangents: [gradient] }) => {
    const inner = matmul(transposeLast(factor!), lowerPart(gradient!))
    const half = subtract(lowerPart(inner), multiply(where(mask(inner, 'equal'), inner, 0), 0.5))
    const upper = transposeLast(factor!)
    const solve = (right: Node) => createNode(triangularSolve, [upper, right], { upper: true })
    const whole = transposeLast(solve(transposeLast(solve(half))))
    return [multiply(add(whole, transposeLast(whole)), 0.5)]
  },
}

/** Householder's reflections: each brings a column to its first element, away from cancellation. */
export const orthonormalBasis: OpDefinition<'orthonormalBasis'> = {
  op: 'orthonormalBasis',
  shape: ([x]) => {
    const tall = (rows: number, columns: number) => rows >= columns
    const { shape, dtype } = requireMatrix(
      'orthonormalBasis',
      x,
      tall,
      'matrices with at least as many rows as columns',
    )
    return [{ shape, dtype }]
  },
  lower: ([input]) => {
    const x = inSingle(input!)
    const [rows, columns] = x.shape.slice(-2) as [number, number]
    const rowIndex = axisIndex([rows, 1], 0)
    let rest = x
    const reflections: { vector: Node; scaled: Node }[] = []
    for (let j = 0; j < columns; j++) {
      const column = where(binary('lessEqual', j, rowIndex), block(rest, 0, rows, j, 1), 0)
      const length = squareRoot(sum(multiply(column, column), x.shape.length - 2))
      const first = block(column, j, 1, 0, 1)
      const signed = where(binary('less', first, 0), negate(length), length)
      const vector = add(column, where(binary('equal', rowIndex, j), signed, 0))
      const squares = sum(multiply(vector, vector), x.shape.length - 2)
      const isZero = binary('equal', squares, 0)
      const scaled = divide(multiply(vector, 2), where(isZero, 1, squares))
      reflections.push({ vector, scaled })
      if (j + 1 < columns) rest = subtract(rest, multiply(scaled, matmul(transposeLast(vector), rest)))
    }
    const identity = cast(binary('equal', axisIndex([rows, columns], 0), axisIndex([rows, columns], 1)), x.dtype)
    let basis = broadcastTo(identity, x.shape)
    for (const { vector, scaled } of reflections.reverse())
      basis = subtract(basis, multiply(scaled, matmul(transposeLast(vector), basis)))
    return [cast(basis, input!.dtype)]
  },
  // Walter & Lehmann, "Algorithmic differentiation of linear algebra functions" (2012), for Q alone.
  vjp: ({ inputs: [x], outputs: [q], cotangents: [gradient] }) => {
    const inner = negate(matmul(transposeLast(gradient!), q!))
    const lower = strictlyLowerPart(inner)
    const mirrored = add(lowerPart(inner), transposeLast(lower))
    const right = transposeLast(add(gradient!, matmul(q!, mirrored)))
    const triangle = matmul(transposeLast(q!), x!)
    return [transposeLast(createNode(triangularSolve, [triangle, right], { upper: true }))]
  },
}
