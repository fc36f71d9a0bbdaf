import { ShapeError } from '../errors.ts'
import type { Axes } from '../graph/reductions.ts'
import { normalizeAxes, sizeOf } from '../graph/shape.ts'
import { where } from './indexing.ts'
import { floating } from './operands.ts'
import type { ReduceOptions, Tensor } from './tensor.ts'

/** Reductions beside `sum`, `mean`, `max` and so on, which are methods. All take axes (all when left out) and `keepDims`. */

/** True where any element is not 0; over no elements false. */
export function any(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return countNonZero(x, axes, options).notEqual(0)
}

/** True where no element is 0; over no elements true. */
export function all(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return x.equal(0).sum(axes, options).equal(0)
}

/** How many elements are not 0 (i32). NaN is not 0. */
export function countNonZero(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return x.notEqual(0).cast('i32').sum(axes, options)
}

/** log Σ eˣ without overflow; over elements that are all −∞ it is −∞. */
export function logSumExp(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const value = floating(x)
  const largest = value.max(axes, { keepDims: true })
  // The shift only guards against overflow, so it carries no gradient; infinities cannot be subtracted.
  const shift = where(largest.isFinite(), largest, 0).stopGradient()
  const total = value.subtract(shift).exp().sum(axes, { keepDims: true }).log().add(shift)
  return options?.keepDims ? total : total.squeeze(normalizeAxes('logSumExp', axes, x.rank))
}

export interface VarianceOptions extends ReduceOptions {
  /** Taken off the count: 1 gives the unbiased estimate. */
  readonly correction?: number
}

/** Mean squared distance from the mean, divided by the count less a correction. */
export function varianceOf(x: Tensor, axes?: Axes, { correction = 0, keepDims = false }: VarianceOptions = {}): Tensor {
  const count = sizeOf(normalizeAxes('varianceOf', axes, x.rank).map((axis) => x.shape[axis]!))
  return floating(x)
    .variance(axes, { keepDims })
    .multiply(count / (count - correction))
}

/** Square root of `varianceOf`. */
export function standardDeviation(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  return varianceOf(x, axes, options).sqrt()
}

/**
 * The p-norm (Σ |x|ᵖ)^(1/p). Infinite orders give the largest and smallest magnitude, order 0 the count of elements that are not 0. The
 * gradient of the 2-norm at 0 is 0.
 */
export function norm(x: Tensor, order = 2, axes?: Axes, options?: ReduceOptions): Tensor {
  const magnitude = floating(x).abs()
  if (Number.isNaN(order)) throw new ShapeError('norm: the order must be a number, got NaN.')
  if (order === Number.POSITIVE_INFINITY) return magnitude.max(axes, options)
  if (order === Number.NEGATIVE_INFINITY) return magnitude.min(axes, options)
  if (order === 0) return countNonZero(x, axes, options).cast(magnitude.dtype)
  if (order === 1) return magnitude.sum(axes, options)
  if (order !== 2)
    return magnitude
      .power(order)
      .sum(axes, options)
      .power(1 / order)
  const squares = magnitude.square().sum(axes, options)
  const isZero = squares.equal(0)
  return where(isZero, 0, where(isZero, 1, squares).sqrt())
}
