import type { Shape } from '../../../graph/shape.ts'
import { eye } from '../../../tensor/create.ts'
import { pseudoInverse, svd } from '../../../tensor/decompositions.ts'
import { fill, type HostTensor } from '../host.ts'
import type { OpCase, OpTest } from '../op-test.ts'
import { anyExtent, anyShape } from '../shapes.ts'
import { algebraic, one, product } from './algebraic.ts'
import { regular, regularHost, transposed } from './decompositions.ts'
import { solveOf } from './matrices.ts'

/**
 * Singular vectors are fixed up to their signs only, so what is tested does not depend on these: the polar factor u · vᵀ and the sum of singular values,
 * which is the trace of the other factor, both by Newton's iteration (Higham 1986), and u · diag(s²) · vᵀ, which is x · xᵀ · x.
 */
function polarOf(x: HostTensor): HostTensor {
  const identity = fill(x.shape, (index) => Number(index.at(-1) === index.at(-2)))
  let y = x
  for (let step = 0; step < 60; step++) {
    const inverse = transposed(solveOf(y, identity))
    y = { ...y, data: y.data.map((value, i) => (value + inverse.data[i]!) / 2) }
  }
  return y
}

const cubed = (x: HostTensor): HostTensor => product(product(x, transposed(x)), x)

const nuclear = (x: HostTensor): HostTensor => {
  const other = product(transposed(polarOf(x)), x)
  return fill(x.shape.slice(0, -2), (index) => {
    let sum = 0
    const n = x.shape.at(-1)!
    for (let i = 0; i < n; i++)
      sum += other.data[index.reduce((offset, k, axis) => offset * x.shape[axis]! + k, 0) * n * n + i * n + i]!
    return sum
  })
}

const polar = (shape: Shape): OpCase =>
  one(
    `polar factor of [${shape}]`,
    shape,
    (x) => {
      const { u, v } = svd(regular(x))
      return u.matmul(v.transpose())
    },
    (x) => polarOf(regularHost(x)),
  )

const total = (shape: Shape): OpCase =>
  one(
    `sum of singular values of [${shape}]`,
    shape,
    (x) => svd(regular(x)).s.sum(-1),
    (x) => nuclear(regularHost(x)),
  )

const cube = (shape: Shape): OpCase =>
  one(
    `u · diag(s³) · vᵀ of [${shape}]`,
    shape,
    (x) => {
      const { u, s, v } = svd(x)
      return u.multiply(s.square().multiply(s).unsqueeze(-2)).matmul(v.transpose())
    },
    cubed,
  )

/** With full rank there is a formula: (xᵀ · x)⁻¹ · xᵀ. */
const inverted = (m: number, n: number): OpCase =>
  one(
    `[${m},${n}]`,
    [m, n],
    (x) => pseudoInverse(x.add(eye(m, n, x.dtype).multiply(4))),
    (y) => {
      const x = regularHost(y)
      const [a, b] = m >= n ? [product(transposed(x), x), transposed(x)] : [product(x, transposed(x)), x]
      const solved = solveOf(a, b)
      return m >= n ? solved : transposed(solved)
    },
  )

const exact = { formats: ['f32', 'f64'] as const, spacings: { relative: 2 ** 12, absolute: 2 ** 12 } }

export const singularValueTests: readonly OpTest[] = [
  algebraic('svd', [polar([3, 3]), total([2, 3, 3]), cube([5, 3]), cube([3, 5]), cube([2, 4, 4]), cube([1, 1])], {
    ...exact,
    property: (choices) => {
      const outer = anyShape(choices, { most: 1, filled: true, elements: 3 })
      const [m, n] = [anyExtent(choices, 5), anyExtent(choices, 5)]
      const kind = choices.pick(['cube', 'polar', 'total'] as const)
      if (kind === 'cube') return cube([...outer, m, n])
      return (kind === 'polar' ? polar : total)([...outer, m, m])
    },
  }),
  algebraic('pseudoInverse', [inverted(5, 2), inverted(2, 4)], {
    ...exact,
    spacings: { relative: 2 ** 14, absolute: 2 ** 14 },
    property: (choices) => inverted(anyExtent(choices, 5), anyExtent(choices, 5)),
  }),
]
