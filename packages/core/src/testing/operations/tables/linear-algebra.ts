import type { DType } from '../../../graph/format.ts'
import type { Shape } from '../../../graph/shape.ts'
import { triangle } from '../../../tensor/create.ts'
import * as decompositions from '../../../tensor/decompositions.ts'
import { einsum } from '../../../tensor/einsum.ts'
import * as fourier from '../../../tensor/fourier.ts'
import * as algebra from '../../../tensor/linear-algebra.ts'
import { concatenate } from '../../../tensor/movement.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { at, fill, type HostTensor, indicesOf, reshaped } from '../host.ts'
import { floats, type OpCase, type OpTest } from '../op-test.ts'
import { choleskyOf, determinantOf, qrOf, solveOf } from './matrices.ts'

const rough = { relative: 64, absolute: 64 }

function algebraic(op: string, cases: readonly OpCase[], settings: Partial<OpTest> = {}): OpTest {
  return { op, topic: 'linear algebra', cases, formats: floats, gradient: true, spacings: rough, ...settings }
}

function one(
  name: string,
  shape: Shape,
  apply: (x: Tensor) => Tensor,
  expected: (x: HostTensor) => HostTensor,
): OpCase {
  return { name, operands: [{ shape }], apply, expected: (x) => expected(x!) }
}

function two(
  name: string,
  [a, b]: readonly [Shape, Shape],
  apply: (a: Tensor, b: Tensor) => Tensor,
  expected: (a: HostTensor, b: HostTensor) => HostTensor,
): OpCase {
  return { name, operands: [{ shape: a }, { shape: b }], apply, expected: (x, y) => expected(x!, y!) }
}

/** NumPy's matrix product. */
function product(a: HostTensor, b: HostTensor): HostTensor {
  const left = a.shape.length === 1 ? reshaped(a, [1, ...a.shape]) : a
  const right = b.shape.length === 1 ? reshaped(b, [...b.shape, 1]) : b
  const batch = [left.shape.slice(0, -2), right.shape.slice(0, -2)] as const
  const rank = Math.max(batch[0].length, batch[1].length)
  const extents = Array.from({ length: rank }, (_, i) =>
    Math.max(...batch.map((shape) => shape[shape.length - rank + i] ?? 1)),
  )
  const inner = left.shape.at(-1)!
  const whole = fill([...extents, left.shape.at(-2)!, right.shape.at(-1)!], (index) => {
    const [outer, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!]
    let sum = 0
    for (let k = 0; k < inner; k++) sum += at(left, [...outer, row, k]) * at(right, [...outer, k, column])
    return sum
  })
  const kept = whole.shape.filter(
    (_, axis) => !(a.shape.length === 1 && axis === rank) && !(b.shape.length === 1 && axis === rank + 1),
  )
  return reshaped(whole, kept)
}

const products: readonly (readonly [Shape, Shape])[] = [
  [
    [3, 4],
    [4, 5],
  ],
  [[4], [4, 5]],
  [[3, 4], [4]],
  [[4], [4]],
  [
    [2, 3, 4],
    [4, 5],
  ],
  [
    [2, 1, 3, 4],
    [3, 4, 2],
  ],
  [
    [1, 1],
    [1, 1],
  ],
  [
    [0, 4],
    [4, 5],
  ],
  [
    [3, 0],
    [0, 5],
  ],
  [
    [17, 33],
    [33, 9],
  ],
]

/** Σ over all labels that are not in the result, by brute force. */
function bruteForce(equation: string, operands: readonly HostTensor[]): HostTensor {
  const [left, right] = equation.split('->') as [string, string]
  const terms = left.split(',')
  const extents = new Map<string, number>()
  terms.forEach((term, i) => {
    ;[...term].forEach((label, axis) => {
      extents.set(label, operands[i]!.shape[axis]!)
    })
  })
  const result = [...right]
  const summed = [...extents.keys()].filter((label) => !result.includes(label))
  const shape = (labels: readonly string[]) => labels.map((label) => extents.get(label)!)
  return fill(shape(result), (index) => {
    let total = 0
    for (const inner of indicesOf(shape(summed))) {
      const values = new Map([
        ...result.map((label, i) => [label, index[i]!] as const),
        ...summed.map((label, i) => [label, inner[i]!] as const),
      ])
      total += terms.reduce(
        (value, term, i) =>
          value *
          at(
            operands[i]!,
            [...term].map((label) => values.get(label)!),
          ),
        1,
      )
    }
    return total
  })
}

function contraction(equation: string, shapes: readonly Shape[], explicit = equation): OpCase {
  return {
    name: equation,
    operands: shapes.map((shape) => ({ shape })),
    apply: (...inputs) => einsum(equation, ...inputs),
    expected: (...inputs) => bruteForce(explicit, inputs),
  }
}

/** Real and imaginary part of a transform, one after the other. */
function transformed(x: HostTensor, count: number): HostTensor {
  const n = x.shape.at(-1)!
  const outer = x.shape.slice(0, -1)
  return fill([...outer, 2 * count], (index) => {
    const k = index.at(-1)! % count
    const part = index.at(-1)! < count ? Math.cos : (angle: number) => -Math.sin(angle)
    let sum = 0
    for (let t = 0; t < n; t++) sum += at(x, [...index.slice(0, -1), t]) * part((2 * Math.PI * ((k * t) % n)) / n)
    return sum
  })
}

const joined = ({ real, imaginary }: fourier.Complex) => concatenate([real, imaginary], -1)
const exactFloats: readonly DType[] = ['f32', 'f64']
const decomposition = { formats: exactFloats, spacings: { relative: 1024, absolute: 1024 } }
/** Well conditioned: a random matrix plus a multiple of the identity. */
const regular = (x: Tensor) => x.add(algebra.diagonalMatrix(x.slice(-1, 0, 1).squeeze(-1).multiply(0).add(4)))
const regularHost = (x: HostTensor) => fill(x.shape, (index) => at(x, index) + (index.at(-1) === index.at(-2) ? 4 : 0))
const gram = (x: Tensor) => x.matmul(x.transpose())
const transposed = (x: HostTensor) =>
  fill([...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!], (index) =>
    at(x, [...index.slice(0, -2), index.at(-1)!, index.at(-2)!]),
  )
const squares: readonly Shape[] = [
  [1, 1],
  [3, 3],
  [2, 4, 4],
  [19, 19],
]

export const linearAlgebraTests: readonly OpTest[] = [
  algebraic(
    'matmul',
    products.map((shapes) => two(`[${shapes[0]}] × [${shapes[1]}]`, shapes, algebra.matmul, product)),
    { formats: [...floats, 'i32'] },
  ),
  algebraic('dot', [two('[2, 5] · [5]', [[2, 5], [5]], algebra.dot, product)]),
  algebraic('outer', [
    two('[3] and [4]', [[3], [4]], algebra.outer, (a, b) => fill([3, 4], ([i, j]) => at(a, [i!]) * at(b, [j!]))),
  ]),
  algebraic('cross', [
    two(
      '[2, 3]',
      [
        [2, 3],
        [2, 3],
      ],
      algebra.cross,
      (a, b) =>
        fill([2, 3], ([i, j]) => {
          const [k, l] = [(j! + 1) % 3, (j! + 2) % 3]
          return at(a, [i!, k]) * at(b, [i!, l]) - at(a, [i!, l]) * at(b, [i!, k])
        }),
    ),
  ]),
  algebraic('kron', [
    two(
      '[2, 3] and [4, 2]',
      [
        [2, 3],
        [4, 2],
      ],
      algebra.kron,
      (a, b) => fill([8, 6], ([i, j]) => at(a, [Math.floor(i! / 4), Math.floor(j! / 2)]) * at(b, [i! % 4, j! % 2])),
    ),
  ]),
  algebraic('diagonal', [
    one(
      'of [3, 5]',
      [3, 5],
      (x) => algebra.diagonal(x),
      (x) => fill([3], ([i]) => at(x, [i!, i!])),
    ),
    one(
      'above',
      [2, 3, 5],
      (x) => algebra.diagonal(x, 3),
      (x) => fill([2, 2], ([k, i]) => at(x, [k!, i!, i! + 3])),
    ),
    one(
      'below',
      [4, 3],
      (x) => algebra.diagonal(x, -1),
      (x) => fill([3], ([i]) => at(x, [i! + 1, i!])),
    ),
    one(
      'outside',
      [2, 2],
      (x) => algebra.diagonal(x, 5),
      () => fill([0], () => 0),
    ),
    one(
      'of other axes',
      [3, 4, 2],
      (x) => algebra.diagonal(x, 0, [0, 2]),
      (x) => fill([4, 2], ([k, i]) => at(x, [i!, k!, i!])),
    ),
  ]),
  algebraic('diagonalMatrix', [
    one(
      '[3]',
      [3],
      (x) => algebra.diagonalMatrix(x),
      (x) => fill([3, 3], ([i, j]) => (i === j ? at(x, [i!]) : 0)),
    ),
    one(
      'above',
      [2, 3],
      (x) => algebra.diagonalMatrix(x, 1),
      (x) => fill([2, 4, 4], ([k, i, j]) => (i! + 1 === j ? at(x, [k!, i!]) : 0)),
    ),
  ]),
  algebraic('trace', [
    one(
      '[4, 3]',
      [4, 3],
      (x) => algebra.trace(x),
      (x) => fill([], () => at(x, [0, 0]) + at(x, [1, 1]) + at(x, [2, 2])),
    ),
  ]),
  algebraic('lowerTriangle', [
    one(
      '[3, 5]',
      [3, 5],
      (x) => algebra.lowerTriangle(x, 1),
      (x) => fill([3, 5], ([i, j]) => (j! <= i! + 1 ? at(x, [i!, j!]) : 0)),
    ),
  ]),
  algebraic('upperTriangle', [
    one(
      '[3, 5]',
      [3, 5],
      (x) => algebra.upperTriangle(x),
      (x) => fill([3, 5], ([i, j]) => (j! >= i! ? at(x, [i!, j!]) : 0)),
    ),
  ]),
  algebraic('triangle', [
    one(
      'times a matrix',
      [3, 4],
      (x) => x.multiply(triangle(3, 4)),
      (x) => fill([3, 4], ([i, j]) => (j! <= i! ? at(x, [i!, j!]) : 0)),
    ),
  ]),
  algebraic(
    'matrixPower',
    [
      one(
        'fifth',
        [3, 3],
        (x) => algebra.matrixPower(x, 5),
        (x) => [1, 2, 3, 4].reduce((y) => product(y, x), x),
      ),
      one(
        'none',
        [2, 2],
        (x) => algebra.matrixPower(x, 0),
        () => fill([2, 2], ([i, j]) => Number(i === j)),
      ),
    ],
    { spacings: { relative: 1024, absolute: 1024 } },
  ),
  algebraic(
    'einsum',
    [
      contraction('ij,jk->ik', [
        [3, 4],
        [4, 5],
      ]),
      contraction('bqhd,bkhd->bhqk', [
        [2, 3, 2, 4],
        [2, 5, 2, 4],
      ]),
      contraction('ij,kj,k->i', [[3, 4], [2, 4], [2]]),
      contraction('ii->i', [[3, 3]]),
      contraction('ii', [[3, 3]], 'ii->'),
      contraction(
        'ij,jk',
        [
          [3, 4],
          [4, 2],
        ],
        'ij,jk->ik',
      ),
      contraction('ij->', [[3, 4]]),
      contraction('i,j->ji', [[3], [4]]),
      contraction(
        '...ij,...jk->...ik',
        [
          [2, 3, 4],
          [2, 4, 5],
        ],
        'bij,bjk->bik',
      ),
      contraction('ijk,ijk->ij', [
        [2, 3, 4],
        [2, 3, 4],
      ]),
    ],
    { formats: [...floats, 'i32'] },
  ),
  algebraic(
    'cholesky',
    squares.map((shape) =>
      one(
        `[${shape}]`,
        shape,
        (x) => decompositions.cholesky(gram(regular(x))),
        (x) => choleskyOf(product(regularHost(x), transposed(regularHost(x)))),
      ),
    ),
    decomposition,
  ),
  algebraic(
    'triangularSolve',
    squares.flatMap((shape) => {
      const right = [...shape.slice(0, -1), 3]
      return [true, false].map((upper) =>
        two(
          `[${shape}], ${upper ? 'upper' : 'lower'}`,
          [shape, right],
          (x, y) => decompositions.triangularSolve(regular(x.multiply(0.5)), y, { upper }),
          (x, y) => {
            const half = regularHost({ ...x, data: x.data.map((value) => value / 2) })
            const part = fill(half.shape, (index) => {
              const isKept = upper ? index.at(-1)! >= index.at(-2)! : index.at(-1)! <= index.at(-2)!
              return isKept ? at(half, index) : 0
            })
            return solveOf(part, y)
          },
        ),
      )
    }),
    decomposition,
  ),
  algebraic(
    'qr',
    (
      [
        [1, 1],
        [5, 3],
        [3, 5],
        [2, 4, 4],
        [19, 17],
      ] as const
    ).flatMap((shape) => [
      one(
        `q of [${shape}]`,
        shape,
        (x) => decompositions.qr(x).q,
        (x) => qrOf(x).q,
      ),
      one(
        `r of [${shape}]`,
        shape,
        (x) => decompositions.qr(x).r,
        (x) => qrOf(x).r,
      ),
    ]),
    { formats: exactFloats, spacings: { relative: 2 ** 14, absolute: 2 ** 14 } },
  ),
  algebraic(
    'solve',
    squares.map((shape) =>
      two(
        `[${shape}]`,
        [shape, [...shape.slice(0, -1), 2]],
        (x, y) => decompositions.solve(regular(x), y),
        (x, y) => solveOf(regularHost(x), y),
      ),
    ),
    decomposition,
  ),
  algebraic(
    'leastSquares',
    [
      two(
        '[5, 2]',
        [
          [5, 2],
          [5, 1],
        ],
        decompositions.leastSquares,
        (x, y) => solveOf(product(transposed(x), x), product(transposed(x), y)),
      ),
    ],
    decomposition,
  ),
  algebraic(
    'inverse',
    [
      one(
        '[4, 4]',
        [4, 4],
        (x) => decompositions.inverse(regular(x)),
        (x) =>
          solveOf(
            regularHost(x),
            fill([4, 4], ([i, j]) => Number(i === j)),
          ),
      ),
    ],
    decomposition,
  ),
  algebraic(
    'determinant',
    squares.slice(0, 3).map((shape) =>
      one(
        `[${shape}]`,
        shape,
        (x) => decompositions.determinant(regular(x)),
        (x) => determinantOf(regularHost(x)),
      ),
    ),
    decomposition,
  ),
  algebraic(
    'logDeterminant',
    [
      one(
        '[2, 3, 3]',
        [2, 3, 3],
        (x) => decompositions.logDeterminant(x).logMagnitude,
        (x) => {
          const value = determinantOf(x)
          return { ...value, data: value.data.map((element) => Math.log(Math.abs(element))) }
        },
      ),
    ],
    { formats: exactFloats, spacings: { relative: 2 ** 14, absolute: 2 ** 14 } },
  ),
  algebraic(
    'fourierTransform',
    [1, 2, 7, 16, 60, 96, 67, 134].map((n) =>
      one(
        `of ${n}`,
        [2, n],
        (x) => joined(fourier.fourierTransform({ real: x, imaginary: x.multiply(0) })),
        (x) => transformed(x, n),
      ),
    ),
    { formats: exactFloats, spacings: { relative: 256, absolute: 512 } },
  ),
  algebraic(
    'inverseFourierTransform',
    [1, 12, 70].map((n) =>
      one(
        `of ${n}, there and back`,
        [n, 2],
        (x) => {
          const there = fourier.fourierTransform({ real: x, imaginary: x.multiply(2) }, 0)
          const back = fourier.inverseFourierTransform(there, 0)
          return back.real.add(back.imaginary)
        },
        (x) => ({ ...x, data: x.data.map((value) => 3 * value) }),
      ),
    ),
    { formats: exactFloats, spacings: { relative: 256, absolute: 512 } },
  ),
  algebraic(
    'realFourierTransform',
    [8, 9].map((n) =>
      one(
        `of ${n}`,
        [n],
        (x) => joined(fourier.realFourierTransform(x)),
        (x) => transformed(x, Math.floor(n / 2) + 1),
      ),
    ),
    { formats: exactFloats, spacings: { relative: 256, absolute: 256 } },
  ),
  algebraic(
    'inverseRealFourierTransform',
    [8, 9].map((n) =>
      one(
        `of ${n}, there and back`,
        [n],
        (x) => fourier.inverseRealFourierTransform(fourier.realFourierTransform(x), n),
        (x) => x,
      ),
    ),
    { formats: exactFloats, spacings: { relative: 256, absolute: 256 } },
  ),
]
