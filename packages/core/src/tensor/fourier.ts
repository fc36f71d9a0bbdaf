import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { formatSpec } from '../graph/node.ts'
import { normalizeAxis, sameShape } from '../graph/shape.ts'
import { zerosLike } from './create.ts'
import { concatenate, moveAxis } from './movement.ts'
import { floating } from './operands.ts'
import { Tensor } from './tensor.ts'

/** Complex numbers as two tensors of one shape. */
export interface Complex {
  readonly real: Tensor
  readonly imaginary: Tensor
}

/** Transforms up to this length are one matrix product; longer ones are split (Cooley & Tukey 1965). */
const longestProduct = 64

/**
 * The discrete Fourier transform of an axis: Σ x[t] · e^(−2πi·kt / n). Lengths are split into factors, each a small matrix product; the time for a
 * length grows with the sum of its prime factors.
 *
 * @example
 * ```ts
 * import { fourierTransform, tensor, zeros } from '@tessera/core'
 * const { real } = fourierTransform({ real: tensor([1, 2, 3, 4]), imaginary: zeros([4]) })
 * console.log([...(await real.data())].map(Math.round)) // [10, -2, -2, -2]
 * ```
 */
export function fourierTransform(x: Complex, axis = -1): Complex {
  return along('fourierTransform', x, axis, (part) => transform(part, -1))
}

/** The inverse of `fourierTransform`: Σ x[k] · e^(2πi·kt / n) / n. */
export function inverseFourierTransform(x: Complex, axis = -1): Complex {
  const length = x.real.shape[normalizeAxis('inverseFourierTransform', axis, x.real.rank)]!
  const { real, imaginary } = along('inverseFourierTransform', x, axis, (part) => transform(part, 1))
  return { real: real.divide(length), imaginary: imaginary.divide(length) }
}

/** The transform of real numbers: its first ⌊n / 2⌋ + 1 elements, of which the others are the conjugates. */
export function realFourierTransform(x: Tensor, axis = -1): Complex {
  const at = normalizeAxis('realFourierTransform', axis, x.rank)
  const value = floating(x)
  const { real, imaginary } = fourierTransform({ real: value, imaginary: zerosLike(value) }, at)
  const kept = Math.floor(x.shape[at]! / 2) + 1
  return { real: real.slice(at, 0, kept), imaginary: imaginary.slice(at, 0, kept) }
}

/** The real numbers of the given length whose `realFourierTransform` this is. */
export function inverseRealFourierTransform(x: Complex, length: number, axis = -1): Tensor {
  const at = normalizeAxis('inverseRealFourierTransform', axis, x.real.rank)
  if (x.real.shape[at] !== Math.floor(length / 2) + 1) {
    throw new ShapeError(
      `inverseRealFourierTransform: ${length} numbers have ${Math.floor(length / 2) + 1} elements along axis ${at}, got ${formatSpec(x.real)}.`,
    )
  }
  // Elements that stand for themselves and their conjugates, in reverse order.
  const mirrored = (part: Tensor) => part.slice(at, 1, length - Math.floor(length / 2)).flip(at)
  return inverseFourierTransform(
    {
      real: concatenate([x.real, mirrored(x.real)], at),
      imaginary: concatenate([x.imaginary, mirrored(x.imaginary).negate()], at),
    },
    at,
  ).real
}

function along(operation: string, x: Complex, axis: number, apply: (x: Complex) => Complex): Complex {
  const [real, imaginary] = [floating(x.real), floating(x.imaginary)]
  if (!sameShape(real.shape, imaginary.shape) || real.dtype !== imaginary.dtype || real.rank === 0) {
    throw new ShapeError(
      `${operation}: takes two parts of one shape and format with at least one axis, got ${formatSpec(x.real)} and ${formatSpec(x.imaginary)}.`,
    )
  }
  const at = normalizeAxis(operation, axis, real.rank)
  const result = apply({ real: moveAxis(real, at, -1), imaginary: moveAxis(imaginary, at, -1) })
  return { real: moveAxis(result.real, -1, at), imaginary: moveAxis(result.imaginary, -1, at) }
}

const add = (a: Complex, b: Complex): Complex => ({ real: a.real.add(b.real), imaginary: a.imaginary.add(b.imaginary) })

function multiply(a: Complex, b: Complex, product: (x: Tensor, y: Tensor) => Tensor): Complex {
  const negated = { real: product(a.imaginary, b.imaginary).negate(), imaginary: product(a.imaginary, b.real) }
  return add({ real: product(a.real, b.real), imaginary: product(a.real, b.imaginary) }, negated)
}

/** e^(sign · 2πi · row · column / n) for the rows and columns of a matrix. The product is reduced before it is scaled, so that angles are exact. */
function roots(rows: number, columns: number, n: number, sign: number, like: Tensor): Complex {
  const shape = [rows, columns]
  const product = build.multiply(build.axisIndex(shape, 0), build.axisIndex(shape, 1))
  const turns = build.cast(build.binary('remainder', product, n), like.dtype)
  const angle = new Tensor(build.multiply(turns, (sign * 2 * Math.PI) / n))
  return { real: angle.cos(), imaginary: angle.sin() }
}

/** The largest factor of a length that one product may take; the length itself when it is prime. */
function factorOf(n: number): number {
  for (let factor = longestProduct; factor > 1; factor--) if (n % factor === 0) return factor
  for (let factor = longestProduct + 1; factor * factor <= n; factor++) if (n % factor === 0) return factor
  return n
}

/** Along the last axis. */
function transform(x: Complex, sign: 1 | -1): Complex {
  const { real } = x
  const n = real.shape.at(-1)!
  if (n < 2) return x
  const matmul = (a: Tensor, b: Tensor) => a.matmul(b)
  const factor = n <= longestProduct ? n : factorOf(n)
  if (factor === n) return multiply(x, roots(n, n, n, sign, real), matmul)
  // t = rest · t₁ + t₂ and k = k₁ + factor · k₂: transforms of length `factor` over t₁, twiddles, transforms of length `rest` over t₂.
  const rest = n / factor
  const batch = real.shape.slice(0, -1)
  const each = (parts: Complex, apply: (part: Tensor) => Tensor): Complex => ({
    real: apply(parts.real),
    imaginary: apply(parts.imaginary),
  })
  const split = each(x, (part) => part.reshape([...batch, factor, rest]).transpose())
  const inner = multiply(split, roots(factor, factor, factor, sign, real), matmul)
  const turned = multiply(inner, roots(rest, factor, n, sign, real), (a, b) => a.multiply(b))
  const outer = transform(
    each(turned, (part) => part.transpose()),
    sign,
  )
  return each(outer, (part) => part.transpose().reshape([...batch, n]))
}
