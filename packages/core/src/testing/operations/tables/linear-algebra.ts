import type { Shape } from '../../../graph/shape.ts'
import { triangle } from '../../../tensor/create.ts'
import { einsum } from '../../../tensor/einsum.ts'
import * as algebra from '../../../tensor/linear-algebra.ts'
import { at, fill, type HostTensor, indicesOf } from '../host.ts'
import { floats, type OpCase, type OpTest } from '../op-test.ts'
import { algebraic, one, product, two } from './algebraic.ts'

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

export function contraction(equation: string, shapes: readonly Shape[], explicit = equation): OpCase {
  return {
    name: equation,
    operands: shapes.map((shape) => ({ shape })),
    apply: (...inputs) => einsum(equation, ...inputs),
    expected: (...inputs) => bruteForce(explicit, inputs),
  }
}

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
]
