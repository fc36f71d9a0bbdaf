import { ShapeError } from '../errors.ts'
import { permute, reshape, slice } from './build.ts'
import { formatSpec, type Node } from './node.ts'
import { normalizeAxes, normalizeAxis } from './shape.ts'

/** Rearrangements that are written in the movement primitives. */

/** Adds an axis of extent 1. */
export function unsqueeze(x: Node, axis: number): Node {
  const at = normalizeAxis('unsqueeze', axis, x.shape.length + 1)
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)])
}

/** Removes axes of extent 1: the given ones, or all. */
export function squeeze(x: Node, axes?: number | readonly number[]): Node {
  const list =
    axes === undefined
      ? x.shape.flatMap((extent, axis) => (extent === 1 ? [axis] : []))
      : normalizeAxes('squeeze', axes, x.shape.length)
  for (const axis of list) {
    if (x.shape[axis] !== 1)
      throw new ShapeError(`squeeze: axis ${axis} of ${formatSpec(x)} has extent ${x.shape[axis]}, not 1.`)
  }
  return dropAxes(x, list)
}

/** Removes axes that have extent 1. */
export function dropAxes(x: Node, axes: readonly number[]): Node {
  return reshape(
    x,
    x.shape.filter((_, axis) => !axes.includes(axis)),
  )
}

/** NumPy's `start:end:step` of one axis: negative positions count from the end, what lies outside is cut off. */
export function sliceAxis(x: Node, axis: number, start: number, end: number | undefined, step: number): Node {
  const at = normalizeAxis('slice', axis, x.shape.length)
  if (!Number.isInteger(step) || step === 0)
    throw new ShapeError(`slice: step ${step} must be an integer that is not 0.`)
  const extent = x.shape[at]!
  const clamp = (position: number) =>
    Math.min(Math.max(position < 0 ? position + extent : position, step < 0 ? -1 : 0), step < 0 ? extent - 1 : extent)
  const first = clamp(start)
  const last = end === undefined ? (step < 0 ? -1 : extent) : clamp(end)
  const count = Math.max(0, Math.ceil((last - first) / step))
  const along = (value: number, others: readonly number[]) => others.map((other, i) => (i === at ? value : other))
  const zeros = x.shape.map(() => 0)
  return slice(
    x,
    along(count === 0 ? 0 : first, zeros),
    along(count, x.shape),
    along(
      step,
      zeros.map(() => 1),
    ),
  )
}

/** Element `index` of an axis, which is removed. */
export function selectIndex(x: Node, axis: number, index: number): Node {
  const at = normalizeAxis('select', axis, x.shape.length)
  const position = normalizeAxis('select: index', index, x.shape[at]!)
  return dropAxes(sliceAxis(x, at, position, position + 1, 1), [at])
}

/** Reverses the order along axes: the given ones, or all. */
export function flip(x: Node, axes?: number | readonly number[]): Node {
  const list = normalizeAxes('flip', axes, x.shape.length)
  const starts = x.shape.map((extent, axis) => (list.includes(axis) ? Math.max(extent - 1, 0) : 0))
  return slice(
    x,
    starts,
    x.shape,
    x.shape.map((_, axis) => (list.includes(axis) ? -1 : 1)),
  )
}

/** Parts of equal extent, or of the given extents. */
export function split(x: Node, parts: number | readonly number[], axis: number): Node[] {
  const at = normalizeAxis('split', axis, x.shape.length)
  const extent = x.shape[at]!
  const extents = typeof parts === 'number' ? new Array<number>(parts).fill(extent / parts) : parts
  if (!extents.every(Number.isInteger) || extents.reduce((total, part) => total + part, 0) !== extent) {
    throw new ShapeError(
      `split: axis ${at} of ${formatSpec(x)} does not divide into ${typeof parts === 'number' ? `${parts} equal parts` : `[${parts.join(', ')}]`}.`,
    )
  }
  let start = 0
  return extents.map((part) => {
    start += part
    return sliceAxis(x, at, start - part, start, 1)
  })
}

/** Applies something that works along the last axis to another one. */
export function alongLast(operation: string, x: Node, axis: number, apply: (x: Node) => Node): Node {
  const at = normalizeAxis(operation, axis, x.shape.length)
  if (at === x.shape.length - 1) return apply(x)
  const axes = x.shape.map((_, i) => i)
  axes[at] = x.shape.length - 1
  axes[x.shape.length - 1] = at
  return permute(apply(permute(x, axes)), axes)
}
