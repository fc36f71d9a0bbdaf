import { ShapeError } from '../errors.ts'
import { type AxisWindows, reachOf } from '../graph/compounds/windows.ts'

/** A number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[]

/**
 * What stands around a tensor before windows move over it: a number for all sides, a number or `[low, high]` for each axis, `'valid'` for
 * nothing, or `'same'` for as much as gives ⌈extent / stride⌉ positions, the odd one at the end.
 */
export type Padding = number | readonly (number | readonly [low: number, high: number])[] | 'same' | 'valid'

/** One number for each of `rank` spatial axes. */
export function perAxis(operation: string, name: string, value: PerAxis, rank: number): readonly number[] {
  if (typeof value === 'number') return new Array<number>(rank).fill(value)
  if (value.length === rank) return value
  throw new ShapeError(
    `${operation}: ${name} [${value.join(', ')}] must be one number, or one for each of ${rank} spatial axes.`,
  )
}

/** `[low, high]` for each spatial axis of the given extents. */
export function paddingOf(
  operation: string,
  padding: Padding,
  extents: readonly number[],
  axes: readonly Omit<AxisWindows, 'padding'>[],
): readonly (readonly [number, number])[] {
  if (padding === 'valid') return axes.map(() => [0, 0])
  if (padding === 'same') {
    return axes.map((axis, i) => {
      const positions = Math.ceil(extents[i]! / axis.stride)
      const total = Math.max(0, (positions - 1) * axis.stride + reachOf(axis) - extents[i]!)
      return [Math.floor(total / 2), Math.ceil(total / 2)]
    })
  }
  if (typeof padding === 'number') return axes.map(() => [padding, padding])
  if (padding.length !== axes.length) {
    throw new ShapeError(
      `${operation}: padding has ${padding.length} entries for ${axes.length} spatial axes. Give one number, or a number or [low, high] for each axis.`,
    )
  }
  return padding.map((sides) => (typeof sides === 'number' ? [sides, sides] : sides))
}
