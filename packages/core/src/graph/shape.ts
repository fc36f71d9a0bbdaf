import { ShapeError } from '../errors.ts'

/** The sizes of a tensor's axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[]

/** Number of elements of a shape (1 for a scalar). */
export function sizeOf(shape: Shape): number {
  let size = 1
  for (const extent of shape) size *= extent
  return size
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false
  return true
}

/** Element strides of a row-major tensor. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride
    stride *= shape[axis]!
  }
  return strides
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`
}

/** The shape of NumPy broadcasting: aligned at the last axis, extents equal or one of them 1. */
export function broadcastShapes(operation: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a
  const rank = Math.max(a.length, b.length)
  const result = new Array<number>(rank)
  for (let axis = 0; axis < rank; axis++) {
    const left = a[a.length - rank + axis] ?? 1
    const right = b[b.length - rank + axis] ?? 1
    if (left !== right && left !== 1 && right !== 1) {
      throw new ShapeError(
        `${operation}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: axis ${axis - rank} has extents ` +
          `${left} and ${right}. Make them equal, or one of them 1 (reshape or expand).`,
      )
    }
    result[axis] = left === 1 ? right : left
  }
  return result
}

/** An axis counted from the front; negative axes count from the end. */
export function normalizeAxis(operation: string, axis: number, rank: number): number {
  const normalized = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= rank) {
    throw new ShapeError(
      `${operation}: axis ${axis} does not exist in a tensor of ${rank} axes (use ${-rank} to ${rank - 1}).`,
    )
  }
  return normalized
}

/** Sorted, distinct axes counted from the front; `undefined` means all of them. */
export function normalizeAxes(operation: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis)
  const list = (typeof axes === 'number' ? [axes] : axes).map((axis) => normalizeAxis(operation, axis, rank))
  const distinct = [...new Set(list)].sort((a, b) => a - b)
  if (distinct.length !== list.length)
    throw new ShapeError(`${operation}: axes [${list.join(', ')}] name an axis twice.`)
  return distinct
}

/** Checks that a shape is made of integers ≥ 0 and stays below 2^31 elements. */
export function checkShape(operation: string, shape: Shape): void {
  if (!shape.every((extent) => Number.isInteger(extent) && extent >= 0)) {
    throw new ShapeError(`${operation}: shape ${formatShape(shape)} must hold integers that are not negative.`)
  }
  if (sizeOf(shape) >= 2 ** 31) {
    throw new ShapeError(
      `${operation}: shape ${formatShape(shape)} has ${sizeOf(shape)} elements; the limit is 2147483647.`,
    )
  }
}
