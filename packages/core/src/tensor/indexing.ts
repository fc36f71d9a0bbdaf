import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import type { DType } from '../graph/format.ts'
import { formatSpec } from '../graph/node.ts'
import { broadcastShapes, normalizeAxis, rowMajorStrides, type Shape, sizeOf } from '../graph/shape.ts'
import { full, range, zeros } from './create.ts'
import { operand, Tensor, type TensorLike } from './tensor.ts'

/** Elements of `a` where the condition holds, of `b` elsewhere; all three broadcast. */
export function where(condition: Tensor, a: TensorLike, b: TensorLike): Tensor {
  return new Tensor(build.where(condition.node, operand(a), operand(b)))
}

/** `x` with `value` where the mask holds. */
export function maskedFill(x: Tensor, mask: Tensor, value: TensorLike): Tensor {
  return where(mask, value, x)
}

/**
 * A new last axis with `on` at each index and `off` elsewhere; an index out of range gives a row of `off`.
 *
 * @param indices `[...]`, integers
 * @returns `[..., classes]`
 */
export function oneHot(indices: Tensor, classes: number, dtype: DType = 'f32', on = 1, off = 0): Tensor {
  requireIntegers('oneHot', indices)
  const isHot = indices.unsqueeze(-1).equal(range(classes).cast(indices.dtype))
  return on === 1 && off === 0 ? isHot.cast(dtype) : where(isHot, full([], on, dtype), full([], off, dtype))
}

function requireIntegers(operation: string, indices: Tensor): void {
  if (indices.dtype !== 'i32' && indices.dtype !== 'u32') {
    throw new ShapeError(
      `${operation}: indices must be i32 or u32, got ${formatSpec(indices)}. Cast them with .cast('i32').`,
    )
  }
}

/** Positions in the flat tensor of elements that `indices` name along an axis, and whether each index lies in it. */
function alongAxis(operation: string, x: Tensor, indices: Tensor, axis: number) {
  requireIntegers(operation, indices)
  const at = normalizeAxis(operation, axis, x.rank)
  const fits =
    indices.rank === x.rank &&
    indices.shape.every((extent, i) => i === at || extent === x.shape[i] || extent === 1 || x.shape[i] === 1)
  if (!fits) {
    throw new ShapeError(
      `${operation}: indices ${formatSpec(indices)} must have the axes of ${formatSpec(x)}, of the same extents except axis ${at}.`,
    )
  }
  const shape = x.shape.map((extent, i) => (i === at ? indices.shape[at]! : Math.max(extent, indices.shape[i]!)))
  if (sizeOf(x.shape) === 0 && sizeOf(shape) > 0)
    throw new ShapeError(`${operation}: ${formatSpec(x)} has no elements.`)
  const own = indices.cast('i32').expand(shape)
  const strides = rowMajorStrides(x.shape)
  const clamped = own.maximum(0).minimum(Math.max(x.shape[at]! - 1, 0))
  let flat = clamped.multiply(strides[at]!)
  shape.forEach((_, i) => {
    if (i !== at && x.shape[i] !== 1) flat = flat.add(new Tensor(build.axisIndex(shape, i)).multiply(strides[i]!))
  })
  return { shape, flat, isInside: own.greaterEqual(0).and(own.less(x.shape[at]!)) }
}

/**
 * Element `x[…, indices[…, k, …], …]` at each position `k` of an axis: NumPy's `take_along_axis`, as `argSort` and `argMax` give indices. They
 * are clamped into range.
 */
export function takeAlongAxis(x: Tensor, indices: Tensor, axis = -1): Tensor {
  const { flat } = alongAxis('takeAlongAxis', x, indices, axis)
  return x.reshape([x.size]).gather(flat)
}

/** A copy of `x` with values set at, or added to, the positions that `takeAlongAxis` reads. Indices out of range are ignored. */
export function putAlongAxis(
  x: Tensor,
  indices: Tensor,
  values: TensorLike,
  axis = -1,
  mode: 'set' | 'add' = 'set',
): Tensor {
  const { shape, flat, isInside } = alongAxis('putAlongAxis', x, indices, axis)
  const updates = (typeof values === 'number' ? full([], values, x.dtype) : values.cast(x.dtype)).expand(shape)
  return scatterFlat(x, where(isInside, flat, -1), updates, mode, 0)
}

function scatterFlat(x: Tensor, flat: Tensor, updates: Tensor, mode: 'set' | 'add', rest: number): Tensor {
  const outer = x.rank - rest
  const base = x.reshape([sizeOf(x.shape.slice(0, outer)), ...x.shape.slice(outer)])
  const result = mode === 'set' ? base.scatterSet(flat, updates) : base.scatterAdd(flat, updates)
  return result.reshape(x.shape)
}

/** Positions of index arrays for the first axes in the flattened first axes; −1 where one is out of range. */
function jointIndex(operation: string, x: Tensor, indices: readonly Tensor[]) {
  if (indices.length === 0 || indices.length > x.rank)
    throw new ShapeError(`${operation}: takes 1 to ${x.rank} index arrays for ${formatSpec(x)}, got ${indices.length}.`)
  for (const index of indices) requireIntegers(operation, index)
  const shape = indices.reduce<Shape>((joint, index) => broadcastShapes(operation, joint, index.shape), [])
  const extents = x.shape.slice(0, indices.length)
  const strides = rowMajorStrides(extents)
  let flat = zeros(shape, 'i32')
  let isInside = full(shape, 1, 'bool')
  indices.forEach((index, axis) => {
    const own = index.cast('i32')
    // A negative index counts from the end.
    const position = where(own.less(0), own.add(extents[axis]!), own)
    flat = flat.add(
      position
        .maximum(0)
        .minimum(Math.max(extents[axis]! - 1, 0))
        .multiply(strides[axis]!),
    )
    isInside = isInside.and(position.greaterEqual(0)).and(position.less(extents[axis]!))
  })
  return { shape, flat, isInside, first: sizeOf(extents), inner: x.shape.slice(indices.length) }
}

/**
 * NumPy's `x[i, j, …]` with one index array for each of the first axes; they broadcast, negative ones count from the end, and what is out of
 * range is clamped.
 *
 * @example
 * ```ts
 * import { indexWith, tensor } from '@tessera/core'
 * const x = tensor([[1, 2], [3, 4]])
 * const diagonal = indexWith(x, [tensor([0, 1], [2], 'i32'), tensor([0, 1], [2], 'i32')])
 * console.log(await diagonal.data()) // 1, 4
 * ```
 */
export function indexWith(x: Tensor, indices: readonly Tensor[]): Tensor {
  const { flat, first, inner } = jointIndex('indexWith', x, indices)
  return x.reshape([first, ...inner]).gather(flat)
}

/** A copy of `x` with values set at, or added to, the positions that `indexWith` reads; what is out of range is ignored. */
export function updateAt(
  x: Tensor,
  indices: readonly Tensor[],
  values: TensorLike,
  mode: 'set' | 'add' = 'set',
): Tensor {
  const { shape, flat, isInside, inner } = jointIndex('updateAt', x, indices)
  const updates = typeof values === 'number' ? full([], values, x.dtype) : values.cast(x.dtype)
  return scatterFlat(x, where(isInside, flat, -1), updates.expand([...shape, ...inner]), mode, inner.length)
}

/** `length` elements of an axis from a position that is itself a tensor (integer scalar), held so that they fit. */
export function sliceAt(x: Tensor, start: Tensor, length: number, axis = 0): Tensor {
  return x.gather(window('sliceAt', x, start, length, axis), axis)
}

/** A copy of `x` with `part` put at a position of an axis that is itself a tensor (integer scalar), held so that it fits. */
export function updateSliceAt(x: Tensor, start: Tensor, part: Tensor, axis = 0): Tensor {
  const at = normalizeAxis('updateSliceAt', axis, x.rank)
  return x.scatterSet(window('updateSliceAt', x, start, part.shape[at] ?? 1, at), part.cast(x.dtype), at)
}

function window(operation: string, x: Tensor, start: Tensor, length: number, axis: number): Tensor {
  requireIntegers(operation, start)
  const extent = x.shape[normalizeAxis(operation, axis, x.rank)]!
  if (start.rank !== 0 || !Number.isInteger(length) || length < 0 || length > extent) {
    throw new ShapeError(
      `${operation}: takes a scalar start and a length of 0 to ${extent} for ${formatSpec(x)}, got ${formatSpec(start)} and ${length}.`,
    )
  }
  return range(length).add(
    start
      .cast('i32')
      .maximum(0)
      .minimum(extent - length),
  )
}
