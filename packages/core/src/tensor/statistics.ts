import { ShapeError } from '../errors.ts'
import { isFloat } from '../graph/format.ts'
import { formatSpec } from '../graph/node.ts'
import type { Axes } from '../graph/reductions.ts'
import { normalizeAxis } from '../graph/shape.ts'
import { where } from './indexing.ts'
import { diagonal } from './linear-algebra.ts'
import { floating } from './operands.ts'
import { any } from './reductions.ts'
import { binCount, searchSorted } from './sorting.ts'
import type { ReduceOptions, Tensor } from './tensor.ts'

/** Statistics beside plain reductions: without what is missing, between variables, over bins, and along a curve. */

/** The sum of the elements that are not NaN; 0 where none is left. */
export function nanSum(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return where(x.isNaN(), 0, x).sum(axes, options)
}

/** The mean of the elements that are not NaN; NaN where none is left. */
export function nanMean(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const value = floating(x)
  return nanSum(value, axes, options).divide(value.equal(value).cast(value.dtype).sum(axes, options))
}

/** The variance of the elements that are not NaN; NaN where none is left. */
export function nanVariance(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const value = floating(x)
  const centered = value.subtract(nanMean(value, axes, { keepDims: true }))
  return nanMean(centered.square(), axes, options)
}

/** The largest element that is not NaN; NaN where none is left. */
export function nanMaximum(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return extreme(x, Number.NEGATIVE_INFINITY, (kept) => kept.max(axes, options), axes, options)
}

/** The smallest element that is not NaN; NaN where none is left. */
export function nanMinimum(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return extreme(x, Number.POSITIVE_INFINITY, (kept) => kept.min(axes, options), axes, options)
}

function extreme(x: Tensor, rest: number, of: (kept: Tensor) => Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  // Integers are never NaN, and have no infinity.
  if (!isFloat(x.dtype)) return of(x)
  const isNumber = x.isNaN().not()
  return where(any(isNumber, axes, options), of(where(isNumber, x, rest)), Number.NaN)
}

/**
 * How variables vary together: the mean product of their distances from their means.
 *
 * @param x `[..., variables, observations]`
 * @param correction taken off the number of observations: 1 gives the unbiased estimate
 * @returns `[..., variables, variables]`
 */
export function covariance(x: Tensor, correction = 1): Tensor {
  if (x.rank < 2) throw new ShapeError(`covariance: expects [..., variables, observations], got ${formatSpec(x)}.`)
  const value = floating(x)
  const centered = value.subtract(value.mean(-1, { keepDims: true }))
  return centered.matmul(centered.transpose()).divide(x.shape.at(-1)! - correction)
}

/** Pearson's coefficients: `covariance` divided by the standard deviations of both variables. */
export function correlation(x: Tensor): Tensor {
  const products = covariance(x, 0)
  const deviation = diagonal(products).sqrt()
  return products.divide(deviation.unsqueeze(-1)).divide(deviation.unsqueeze(-2))
}

/**
 * How many elements fall into each of `bins` equal parts of `[low, high]` (i32). A part holds its lower bound; the last one holds `high` too. Elements
 * outside, and NaN, are ignored.
 *
 * @example
 * ```ts
 * import { histogram, tensor } from '@tessera/core'
 * console.log(await histogram(tensor([0, 1, 1.5, 4]), 4, 0, 4).data()) // 1, 2, 0, 1
 * ```
 */
export function histogram(x: Tensor, bins: number, low: number, high: number): Tensor {
  if (!Number.isInteger(bins) || bins < 1 || !(low < high))
    throw new ShapeError(`histogram: takes at least one bin and low < high, got ${bins} bins from ${low} to ${high}.`)
  const value = floating(x)
  const isInside = value.greaterEqual(low).and(value.lessEqual(high))
  const position = where(isInside, value.subtract(low).multiply(bins / (high - low)), 0)
  const bin = position
    .floor()
    .cast('i32')
    .minimum(bins - 1)
  return binCount(where(isInside, bin, -1), bins)
}

/** True where an element of `x` is among `values`. NaN is in nothing. Every pair is compared. */
export function isIn(x: Tensor, values: Tensor): Tensor {
  return any(x.unsqueeze(-1).equal(values.flatten()), -1)
}

/** The differences of neighbours along an axis, `order` times over. */
export function difference(x: Tensor, axis = -1, order = 1): Tensor {
  const at = normalizeAxis('difference', axis, x.rank)
  const extent = x.shape[at]!
  if (!Number.isInteger(order) || order < 0 || order > extent)
    throw new ShapeError(`difference: axis ${at} of ${formatSpec(x)} has no differences of order ${order}.`)
  if (order === 0) return x
  return difference(x.slice(at, 1).subtract(x.slice(at, 0, extent - 1)), at, order - 1)
}

/** The integral along an axis by the trapezoidal rule, points `step` apart. */
export function trapezoid(y: Tensor, step = 1, axis = -1): Tensor {
  const at = normalizeAxis('trapezoid', axis, y.rank)
  const value = floating(y)
  const extent = y.shape[at]!
  return value
    .slice(at, 1)
    .add(value.slice(at, 0, Math.max(0, extent - 1)))
    .sum(at)
    .multiply(step / 2)
}

/**
 * The polyline through points, at `x`; before the first and after the last point it is level. NumPy's `interp`.
 *
 * @param x `[...]`
 * @param positions `[n]`, ascending
 * @param values `[n]`
 */
export function interpolate(x: Tensor, positions: Tensor, values: Tensor): Tensor {
  const n = positions.shape[0]
  if (positions.rank !== 1 || values.rank !== 1 || n !== values.shape[0] || n === 0) {
    throw new ShapeError(
      `interpolate: positions and values must be vectors of one length, got ${formatSpec(positions)} and ${formatSpec(values)}.`,
    )
  }
  const held = floating(x).maximum(positions.select(0, 0)).minimum(positions.select(0, -1))
  const above = searchSorted(positions, held)
    .maximum(1)
    .minimum(Math.max(n! - 1, 0))
  const below = above.subtract(1).maximum(0)
  const [x0, x1] = [positions.gather(below), positions.gather(above)]
  const [y0, y1] = [values.gather(below), values.gather(above)]
  const width = x1.subtract(x0)
  const share = held.subtract(x0).divide(where(width.equal(0), 1, width))
  return y0.add(y1.subtract(y0).multiply(share))
}
