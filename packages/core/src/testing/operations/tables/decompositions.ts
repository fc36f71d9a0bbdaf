import type { DType } from '../../../graph/format.ts'
import type { Shape } from '../../../graph/shape.ts'
import * as decompositions from '../../../tensor/decompositions.ts'
import * as fourier from '../../../tensor/fourier.ts'
import * as algebra from '../../../tensor/linear-algebra.ts'
import { concatenate } from '../../../tensor/movement.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { at, fill, type HostTensor } from '../host.ts'
import type { OpTest } from '../op-test.ts'
import { algebraic, one, product, two } from './algebraic.ts'
import { choleskyOf, determinantOf, qrOf, solveOf } from './matrices.ts'

/** Real and imaginary part of a transform, one after the other. */
export function transformed(x: HostTensor, count: number): HostTensor {
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

export const joined = ({ real, imaginary }: fourier.Complex) => concatenate([real, imaginary], -1)
const exactFloats: readonly DType[] = ['f32', 'f64']
const decomposition = { formats: exactFloats, spacings: { relative: 1024, absolute: 1024 } }
/** Well conditioned: a random matrix plus a multiple of the identity. */
export const regular = (x: Tensor) => x.add(algebra.diagonalMatrix(x.slice(-1, 0, 1).squeeze(-1).multiply(0).add(4)))
export const regularHost = (x: HostTensor) =>
  fill(x.shape, (index) => at(x, index) + (index.at(-1) === index.at(-2) ? 4 : 0))
export const gram = (x: Tensor) => x.matmul(x.transpose())
export const transposed = (x: HostTensor) =>
  fill([...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!], (index) =>
    at(x, [...index.slice(0, -2), index.at(-1)!, index.at(-2)!]),
  )
const squares: readonly Shape[] = [
  [1, 1],
  [3, 3],
  [2, 4, 4],
  [19, 19],
]

export const decompositionTests: readonly OpTest[] = [
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
