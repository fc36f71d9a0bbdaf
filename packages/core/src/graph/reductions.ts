import { axisIndex, binary, mean, reduce, square, subtract, where } from './build.ts'
import { isFloat } from './format.ts'
import { dropAxes } from './movement.ts'
import type { Node } from './node.ts'
import type { ReduceName } from './operations.ts'
import { normalizeAxes, normalizeAxis } from './shape.ts'

/** Axes of a reduction: all when left out. */
export type Axes = number | readonly number[] | undefined

/** Drops the axes that a reduction of `x` kept with extent 1, unless they are wanted. */
export function withoutReduced(kept: Node, x: Node, axes: Axes, keepDims = false): Node {
  return keepDims ? kept : dropAxes(kept, normalizeAxes('reduce', axes, x.shape.length))
}

export function reduceAxes(op: ReduceName, x: Node, axes: Axes, keepDims?: boolean): Node {
  return withoutReduced(reduce(op, x, axes), x, axes, keepDims)
}

export function meanOver(x: Node, axes: Axes, keepDims?: boolean): Node {
  return withoutReduced(mean(x, axes), x, axes, keepDims)
}

/** Population variance. The mean is taken off first, so that large means cost no accuracy. */
export function varianceOver(x: Node, axes: Axes, keepDims?: boolean): Node {
  return withoutReduced(mean(square(subtract(x, mean(x, axes))), axes), x, axes, keepDims)
}

/** Index (i32) of the first element that attains the extremum of an axis. */
export function argExtremum(op: 'reduceMaximum' | 'reduceMinimum', x: Node, axis: number): Node {
  const at = normalizeAxis(op === 'reduceMaximum' ? 'argMax' : 'argMin', axis, x.shape.length)
  const equal = binary('equal', x, reduce(op, x, at))
  // NaN wins, as in NumPy: the extremum is NaN then, which equals nothing.
  const attained = isFloat(x.dtype) ? binary('or', equal, binary('notEqual', x, x)) : equal
  const position = where(attained, axisIndex(x.shape, at), x.shape[at]!)
  return dropAxes(reduce('reduceMinimum', position, at), [at])
}
