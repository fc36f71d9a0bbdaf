import type { Shape } from '../../../graph/shape.ts'
import { eye, triangle } from '../../../tensor/create.ts'
import * as decompositions from '../../../tensor/decompositions.ts'
import * as fourier from '../../../tensor/fourier.ts'
import * as algebra from '../../../tensor/linear-algebra.ts'
import type { Choices } from '../choices.ts'
import { at, fill } from '../host.ts'
import type { OpCase, OpTest } from '../op-test.ts'
import { anyExtent, anyPair, anyShape } from '../shapes.ts'
import { one, product, two } from '../tables/algebraic.ts'
import { gram, joined, regular, regularHost, transformed, transposed } from '../tables/decompositions.ts'
import { contraction } from '../tables/linear-algebra.ts'
import { choleskyOf, determinantOf, qrOf, solveOf } from '../tables/matrices.ts'

/** Random shapes for linear algebra. */

type Property = NonNullable<OpTest['property']>

const batched = (choices: Choices): Shape => anyShape(choices, { most: 1, filled: true, elements: 3 })
const square = (choices: Choices, most = 9): Shape => {
  const n = anyExtent(choices, most)
  return [...batched(choices), n, n]
}
const matrix = (choices: Choices): Shape => anyShape(choices, { least: 2, most: 3, elements: 200 })

/** Elements of matrices that a condition keeps; the others are 0. */
const kept =
  (shape: Shape, isKept: (row: number, column: number) => boolean): OpCase['expected'] =>
  (x) =>
    fill(shape, (index) => (isKept(index.at(-2)!, index.at(-1)!) ? at(x!, index) : 0))

const letters = [...'ijk']

export const linearAlgebraProperties: Readonly<Record<string, Property>> = {
  matmul(choices) {
    const [left, right] = anyPair(choices, { most: 2, elements: 6 })
    const [m, k, n] = [0, 1, 2].map(() => choices.pick([1, 2, 3, 0, 5, 7, 17, 33])) as [number, number, number]
    const shapes = [
      [...left, m, k],
      [...right, k, n],
    ] as const
    return two(`[${shapes[0]}] × [${shapes[1]}]`, shapes, algebra.matmul, product)
  },
  dot(choices) {
    const shape = anyShape(choices, { least: 1 })
    const other = shape.slice(choices.integer(0, shape.length - 1))
    return two(`[${shape}] · [${other}]`, [shape, other], algebra.dot, (a, b) =>
      fill(shape.slice(0, -1), (index) => {
        let sum = 0
        for (let k = 0; k < shape.at(-1)!; k++) sum += at(a, [...index, k]) * at(b, [...index, k].slice(-other.length))
        return sum
      }),
    )
  },
  outer(choices) {
    const [m, n] = [choices.pick([1, 0, 2, 5, 17]), choices.pick([1, 0, 2, 5, 33])]
    return two(`[${m}] and [${n}]`, [[m], [n]], algebra.outer, (a, b) =>
      fill([m, n], ([i, j]) => a.data[i!]! * b.data[j!]!),
    )
  },
  cross(choices) {
    const shape = [...anyShape(choices, { most: 2, elements: 60 }), 3]
    return two(`[${shape}]`, [shape, shape], algebra.cross, (a, b) =>
      fill(shape, (index) => {
        const [outer, j] = [index.slice(0, -1), index.at(-1)!]
        const [k, l] = [(j + 1) % 3, (j + 2) % 3]
        return at(a, [...outer, k]) * at(b, [...outer, l]) - at(a, [...outer, l]) * at(b, [...outer, k])
      }),
    )
  },
  kron(choices) {
    const [m, n, p, q] = [0, 1, 2, 3].map(() => choices.pick([1, 2, 0, 3, 5])) as [number, number, number, number]
    return two(
      `[${m},${n}] and [${p},${q}]`,
      [
        [m, n],
        [p, q],
      ],
      algebra.kron,
      (a, b) =>
        fill([m * p, n * q], ([i, j]) => at(a, [Math.floor(i! / p), Math.floor(j! / q)]) * at(b, [i! % p, j! % q])),
    )
  },
  diagonal(choices) {
    const shape = matrix(choices)
    const offset = choices.integer(0, 6) - 3
    const [top, left] = [Math.max(0, -offset), Math.max(0, offset)]
    const length = Math.max(0, Math.min(shape.at(-2)! - top, shape.at(-1)! - left))
    return one(
      `${offset} of [${shape}]`,
      shape,
      (x) => algebra.diagonal(x, offset),
      (x) =>
        fill([...shape.slice(0, -2), length], (index) =>
          at(x, [...index.slice(0, -1), index.at(-1)! + top, index.at(-1)! + left]),
        ),
    )
  },
  diagonalMatrix(choices) {
    const shape = anyShape(choices, { least: 1, most: 2, elements: 18 })
    const offset = choices.integer(0, 4) - 2
    const extent = shape.at(-1)! + Math.abs(offset)
    return one(
      `[${shape}] at ${offset}`,
      shape,
      (x) => algebra.diagonalMatrix(x, offset),
      (x) =>
        fill([...shape.slice(0, -1), extent, extent], (index) => {
          const [row, column] = [index.at(-2)!, index.at(-1)!]
          return column - row === offset ? at(x, [...index.slice(0, -2), Math.min(row, column)]) : 0
        }),
    )
  },
  trace(choices) {
    const shape = matrix(choices)
    return one(`[${shape}]`, shape, algebra.trace, (x) =>
      fill(shape.slice(0, -2), (index) => {
        let sum = 0
        for (let i = 0; i < Math.min(shape.at(-2)!, shape.at(-1)!); i++) sum += at(x, [...index, i, i])
        return sum
      }),
    )
  },
  lowerTriangle(choices) {
    const shape = matrix(choices)
    const offset = choices.integer(0, 6) - 3
    const expected = kept(shape, (i, j) => j <= i + offset)
    return {
      ...one(
        `[${shape}] to ${offset}`,
        shape,
        (x) => algebra.lowerTriangle(x, offset),
        (x) => x,
      ),
      expected,
    }
  },
  upperTriangle(choices) {
    const shape = matrix(choices)
    const offset = choices.integer(0, 6) - 3
    const expected = kept(shape, (i, j) => j >= i + offset)
    return {
      ...one(
        `[${shape}] from ${offset}`,
        shape,
        (x) => algebra.upperTriangle(x, offset),
        (x) => x,
      ),
      expected,
    }
  },
  triangle(choices) {
    const [rows, columns] = [anyExtent(choices, 17), anyExtent(choices, 17)]
    const expected = kept([rows, columns], (i, j) => j <= i)
    return {
      ...one(
        `[${rows},${columns}]`,
        [rows, columns],
        (x) => x.multiply(triangle(rows, columns)),
        (x) => x,
      ),
      expected,
    }
  },
  matrixPower(choices) {
    const n = anyExtent(choices, 5)
    const exponent = choices.integer(1, 4)
    return one(
      `[${n},${n}] to ${exponent}`,
      [n, n],
      (x) => algebra.matrixPower(x, exponent),
      (x) => Array.from({ length: exponent - 1 }).reduce<typeof x>((y) => product(y, x), x),
    )
  },
  einsum(choices) {
    const extents = new Map([...letters, 'l'].map((letter) => [letter, choices.pick([1, 2, 3, 0, 5])]))
    const term = () => letters.filter(() => choices.integer(0, 1) === 1)
    const [left, right] = [
      [...term(), 'l'],
      [...term(), 'l'],
    ]
    const result = [...new Set([...left, ...right])].filter((letter) => letter !== 'l' || choices.integer(0, 1) === 1)
    const shape = (labels: readonly string[]) => labels.map((label) => extents.get(label)!)
    return contraction(`${left.join('')},${right.join('')}->${result.join('')}`, [shape(left), shape(right)])
  },
  cholesky(choices) {
    const shape = square(choices)
    return one(
      `[${shape}]`,
      shape,
      (x) => decompositions.cholesky(gram(regular(x))),
      (x) => choleskyOf(product(regularHost(x), transposed(regularHost(x)))),
    )
  },
  triangularSolve(choices) {
    const shape = square(choices)
    const right = [...shape.slice(0, -1), anyExtent(choices, 5)]
    const upper = choices.integer(0, 1) === 1
    return two(
      `[${shape}] and [${right}], ${upper ? 'upper' : 'lower'}`,
      [shape, right],
      (x, y) => decompositions.triangularSolve(regular(x.multiply(0.5)), y, { upper }),
      (x, y) => {
        const half = regularHost({ ...x, data: x.data.map((value) => value / 2) })
        const part = kept(shape, (i, j) => (upper ? j >= i : j <= i))(half)
        return solveOf(part, y)
      },
    )
  },
  qr(choices) {
    // A multiple of the identity keeps the columns apart from each other.
    const [rows, columns] = [anyExtent(choices, 7), anyExtent(choices, 7)]
    const shape = [...batched(choices), rows, columns]
    const part = choices.pick(['r', 'q'] as const)
    return one(
      `${part} of [${shape}]`,
      shape,
      (x) => decompositions.qr(x.add(eye(rows, columns, x.dtype).multiply(4)))[part],
      (x) => qrOf(regularHost(x))[part],
    )
  },
  solve(choices) {
    const shape = square(choices)
    const right = [...shape.slice(0, -1), anyExtent(choices, 5)]
    return two(
      `[${shape}] and [${right}]`,
      [shape, right],
      (x, y) => decompositions.solve(regular(x), y),
      (x, y) => solveOf(regularHost(x), y),
    )
  },
  leastSquares(choices) {
    const n = anyExtent(choices, 5)
    const shape = [2 * n + 3, n]
    const right = [2 * n + 3, anyExtent(choices, 3)]
    return two(
      `[${shape}] and [${right}]`,
      [shape, right],
      (x, y) => decompositions.leastSquares(x.add(eye(2 * n + 3, n, x.dtype).multiply(4)), y),
      (x, y) => {
        const tall = regularHost(x)
        return solveOf(product(transposed(tall), tall), product(transposed(tall), y))
      },
    )
  },
  inverse(choices) {
    const n = anyExtent(choices, 9)
    return one(
      `[${n},${n}]`,
      [n, n],
      (x) => decompositions.inverse(regular(x)),
      (x) =>
        solveOf(
          regularHost(x),
          fill([n, n], ([i, j]) => Number(i === j)),
        ),
    )
  },
  determinant(choices) {
    const shape = square(choices, 5)
    return one(
      `[${shape}]`,
      shape,
      (x) => decompositions.determinant(regular(x)),
      (x) => determinantOf(regularHost(x)),
    )
  },
  logDeterminant(choices) {
    const shape = square(choices, 7)
    return one(
      `[${shape}]`,
      shape,
      (x) => decompositions.logDeterminant(regular(x)).logMagnitude,
      (x) => {
        const value = determinantOf(regularHost(x))
        return { ...value, data: value.data.map((element) => Math.log(Math.abs(element))) }
      },
    )
  },
  fourierTransform(choices) {
    const n = choices.integer(1, 40)
    return one(
      `of ${n}`,
      [2, n],
      (x) => joined(fourier.fourierTransform({ real: x, imaginary: x.multiply(0) })),
      (x) => transformed(x, n),
    )
  },
  inverseFourierTransform(choices) {
    const n = choices.integer(1, 40)
    return one(
      `of ${n}, there and back`,
      [n, 2],
      (x) => {
        const there = fourier.fourierTransform({ real: x, imaginary: x.multiply(2) }, 0)
        const back = fourier.inverseFourierTransform(there, 0)
        return back.real.add(back.imaginary)
      },
      (x) => ({ ...x, data: x.data.map((value) => 3 * value) }),
    )
  },
  realFourierTransform(choices) {
    const n = choices.integer(1, 40)
    return one(
      `of ${n}`,
      [n],
      (x) => joined(fourier.realFourierTransform(x)),
      (x) => transformed(x, Math.floor(n / 2) + 1),
    )
  },
  inverseRealFourierTransform(choices) {
    const n = choices.integer(2, 40)
    return one(
      `of ${n}, there and back`,
      [n],
      (x) => fourier.inverseRealFourierTransform(fourier.realFourierTransform(x), n),
      (x) => x,
    )
  },
}
