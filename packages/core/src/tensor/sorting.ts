import { ShapeError } from '../errors.ts'
import { argSort as argSortOp } from '../graph/compounds/sort.ts'
import { formatOf, isFloat } from '../graph/format.ts'
import { alongLast } from '../graph/movement.ts'
import { createNode, formatSpec } from '../graph/node.ts'
import { normalizeAxis, sameShape } from '../graph/shape.ts'
import { full, range, zeros } from './create.ts'
import { cumulativeSum } from './cumulative.ts'
import { takeAlongAxis, where } from './indexing.ts'
import { concatenate } from './movement.ts'
import { floating } from './operands.ts'
import { Tensor } from './tensor.ts'

export interface SortOptions {
  readonly descending?: boolean
}

/**
 * Positions (i32) that bring an axis in order. Stable: equal elements keep their order. NaN counts as larger than every number.
 *
 * @example
 * ```ts
 * import { argSort, tensor } from '@tessera/core'
 * console.log(await argSort(tensor([30, 10, 20])).data()) // 1, 2, 0
 * ```
 */
export function argSort(x: Tensor, axis = -1, { descending = false }: SortOptions = {}): Tensor {
  const key = sortKey(x).node
  return new Tensor(alongLast('argSort', key, axis, (node) => createNode(argSortOp, [node], { descending })))
}

/** The same order in 32 bits, which is exact: kernels that sort take no narrower formats. */
function sortKey(x: Tensor): Tensor {
  if (formatOf(x.dtype).bytes >= 4) return x
  return x.cast(isFloat(x.dtype) ? 'f32' : 'i32')
}

/** The elements of an axis in order, as `argSort` says. */
export function sort(x: Tensor, axis = -1, options?: SortOptions): Tensor {
  return takeAlongAxis(x, argSort(x, axis, options), axis)
}

/** The `count` largest (or smallest) elements of an axis, in order, and their positions (i32). */
export function topK(
  x: Tensor,
  count: number,
  axis = -1,
  { largest = true }: { readonly largest?: boolean } = {},
): { values: Tensor; indices: Tensor } {
  const at = normalizeAxis('topK', axis, x.rank)
  if (!Number.isInteger(count) || count < 0 || count > x.shape[at]!)
    throw new ShapeError(`topK: takes 0 to ${x.shape[at]} elements of axis ${at} of ${formatSpec(x)}, got ${count}.`)
  const indices = argSort(x, at, { descending: largest }).slice(at, 0, count)
  return { values: takeAlongAxis(x, indices, at), indices }
}

/**
 * Where each value would stand in a sorted axis (i32): the first position at which it can be put (`left`) or the last one (`right`). By bisection.
 *
 * @param sorted `[..., length]`, in ascending order
 * @param values `[..., count]`, with the same axes before the last; or of any shape where `sorted` has one axis
 */
export function searchSorted(sorted: Tensor, values: Tensor, side: 'left' | 'right' = 'left'): Tensor {
  const length = sorted.shape.at(-1)
  const isVector = sorted.rank === 1
  if (length === undefined || (!isVector && !sameShape(sorted.shape.slice(0, -1), values.shape.slice(0, -1)))) {
    throw new ShapeError(
      `searchSorted: ${formatSpec(sorted)} and ${formatSpec(values)} must have the same axes before the last, or the first only one axis.`,
    )
  }
  let low = zeros(values.shape, 'i32')
  if (length === 0) return low
  let high = full(values.shape, length, 'i32')
  for (let remaining = length; remaining > 0; remaining = Math.floor(remaining / 2)) {
    const middle = low.add(high).shiftRight(1)
    const probe = isVector ? sorted.gather(middle) : takeAlongAxis(sorted, middle, -1)
    const goesRight = (side === 'left' ? probe.less(values) : probe.lessEqual(values)).and(low.less(high))
    low = where(goesRight, middle.add(1), low)
    high = where(goesRight, high, middle.minimum(high))
  }
  return low
}

/**
 * The distinct values of a tensor in ascending order, held in `size` places: as many as there are at most. Shapes are fixed before values are
 * known, so the caller states the size; places that are left over hold `fill`.
 *
 * @returns `values [size]`, how often each occurs (`counts`, i32), for each element of `x` its place (`inverse`, i32), and the number of
 * distinct values (`count`, i32 scalar), which exceeds `size` when some were left out
 */
export function unique(
  x: Tensor,
  size = x.size,
  fill = 0,
): { values: Tensor; counts: Tensor; inverse: Tensor; count: Tensor } {
  const flat = x.reshape([x.size])
  const order = argSort(flat)
  const sorted = flat.gather(order)
  if (x.size === 0) {
    const none = zeros([size], 'i32')
    return {
      values: full([size], fill, x.dtype),
      counts: none,
      inverse: zeros(x.shape, 'i32'),
      count: zeros([], 'i32'),
    }
  }
  const isNew = sorted.slice(0, 1).notEqual(sorted.slice(0, 0, -1))
  const places = cumulativeSum(concatenate([zeros([1], 'i32'), isNew.cast('i32')]))
  return {
    values: full([size], fill, x.dtype).scatterSet(places, sorted),
    counts: zeros([size], 'i32').scatterAdd(places, full([x.size], 1, 'i32')),
    inverse: zeros([x.size], 'i32').scatterSet(order, places).reshape(x.shape),
    count: places.select(0, -1).add(1),
  }
}

/** Positions (i32) of elements that are not 0 in the flattened tensor, in order, held in `size` places; the rest hold `fill`. */
export function nonZero(x: Tensor, size: number, fill = -1): Tensor {
  const isKept = x.reshape([x.size]).notEqual(0)
  const places = cumulativeSum(isKept).subtract(1)
  return full([size], fill, 'i32').scatterSet(where(isKept, places, -1), range(x.size))
}

/** How often each integer from 0 to `length` − 1 occurs (i32), or the sum of its weights; other integers are ignored. */
export function binCount(x: Tensor, length: number, weights?: Tensor): Tensor {
  const flat = x.reshape([x.size])
  const updates = weights ? weights.reshape([x.size]) : full([x.size], 1, 'i32')
  return zeros([length], updates.dtype).scatterAdd(flat, updates)
}

/**
 * The value below which a share of an axis lies, with linear interpolation between neighbours.
 *
 * @param share 0 to 1; 0.5 is the median
 */
export function quantile(x: Tensor, share: number, axis = -1): Tensor {
  if (!(share >= 0 && share <= 1)) throw new ShapeError(`quantile: the share must be between 0 and 1, got ${share}.`)
  const at = normalizeAxis('quantile', axis, x.rank)
  const last = x.shape[at]! - 1
  if (last < 0) throw new ShapeError(`quantile: axis ${at} of ${formatSpec(x)} has no elements.`)
  const position = share * last
  const [below, above] = [Math.floor(position), Math.ceil(position)]
  const sorted = sort(floating(x), at)
  const weight = position - below
  const low = sorted.select(at, below)
  return weight === 0 ? low : low.multiply(1 - weight).add(sorted.select(at, above).multiply(weight))
}

/** The middle value of an axis; of an even number the mean of the two in the middle. */
export function median(x: Tensor, axis = -1): Tensor {
  return quantile(x, 0.5, axis)
}
