import { add, concatenate, pad, reshape, slice } from '../build.ts'
import type { Node } from '../node.ts'
import type { Shape } from '../shape.ts'
import { unslice } from '../unslice.ts'

/** How windows lie on one spatial axis. Numbers of elements; the padding lies before the first and after the last element. */
export interface AxisWindows {
  /** Elements of a window. */
  readonly window: number
  /** Distance of neighbouring windows. */
  readonly stride: number
  /** Distance of neighbouring elements of a window. */
  readonly dilation: number
  readonly padding: readonly [low: number, high: number]
}

/** Elements from the first to the last of a window. */
export const reachOf = ({ window, dilation }: Pick<AxisWindows, 'window' | 'dilation'>): number =>
  (window - 1) * dilation + 1

/** Number of whole windows on an axis of `extent` elements; not positive when it is too short for one. */
export function windowCount(extent: number, axis: AxisWindows): number {
  return Math.floor((extent + axis.padding[0] + axis.padding[1] - reachOf(axis)) / axis.stride) + 1
}

/** Pads the last axes, one for each of `axes`, with `value`; `overhang` adds to the end of each. */
export function padSpatial(x: Node, axes: readonly AxisWindows[], value = 0, overhang?: readonly number[]): Node {
  const before = new Array<number>(x.shape.length - axes.length).fill(0)
  return pad(
    x,
    [...before, ...axes.map(({ padding }) => padding[0])],
    [...before, ...axes.map(({ padding }, i) => padding[1] + (overhang?.[i] ?? 0))],
    value,
  )
}

/** Starts, extents and steps of the elements that stand at `tap` of every window of one axis. */
function tapSlice(shape: Shape, axis: number, tap: number, count: number, { dilation, stride }: AxisWindows) {
  return {
    starts: shape.map((_, i) => (i === axis ? tap * dilation : 0)),
    extents: shape.map((extent, i) => (i === axis ? count : extent)),
    steps: shape.map((_, i) => (i === axis ? stride : 1)),
  }
}

/** The element at `tap` of every window of one axis, whose padding must be part of `x`. */
export function tapOf(x: Node, axis: number, tap: number, count: number, windows: AxisWindows): Node {
  const { starts, extents, steps } = tapSlice(x.shape, axis, tap, count, windows)
  return slice(x, starts, extents, steps)
}

/** Puts `tap` of every window of one axis back into an axis of `extent` zeros: the transpose of `tapOf`. */
export function untap(x: Node, axis: number, tap: number, extent: number, windows: AxisWindows): Node {
  const shape = x.shape.map((length, i) => (i === axis ? extent : length))
  const { starts, steps } = tapSlice(shape, axis, tap, x.shape[axis]!, windows)
  return unslice(x, shape, starts, steps)
}

/**
 * All windows of a padded tensor: `[before…, at…, …spatial] → [before…, ...window, at…, ...counts]`, with one axis for each axis of a
 * window, inserted at `at`. Axis by axis, so that rows are copied as rows.
 */
export function windowsOf(x: Node, at: number, counts: readonly number[], axes: readonly AxisWindows[]): Node {
  let result = x
  const first = x.shape.length - axes.length
  for (let i = axes.length - 1; i >= 0; i--) {
    const axis = first + i + (axes.length - 1 - i)
    const taps = Array.from({ length: axes[i]!.window }, (_, tap) => {
      const element = tapOf(result, axis, tap, counts[i]!, axes[i]!)
      return reshape(element, [...element.shape.slice(0, at), 1, ...element.shape.slice(at)])
    })
    result = concatenate(taps, at)
  }
  return result
}

/** Adds windows up where they came from, in zeros of the padded `extents`: the transpose of `windowsOf`. */
export function sumWindows(x: Node, at: number, extents: readonly number[], axes: readonly AxisWindows[]): Node {
  let result = x
  const first = x.shape.length - 2 * axes.length
  for (let i = 0; i < axes.length; i++) {
    const remaining = axes.length - 1 - i
    const { window } = axes[i]!
    let total: Node | undefined
    for (let tap = 0; tap < window; tap++) {
      const starts = result.shape.map((_, axis) => (axis === at ? tap : 0))
      const one = slice(
        result,
        starts,
        result.shape.map((extent, axis) => (axis === at ? 1 : extent)),
      )
      const element = reshape(one, [...result.shape.slice(0, at), ...result.shape.slice(at + 1)])
      const part = untap(element, first + remaining + i, tap, extents[i]!, axes[i]!)
      total = total ? add(total, part) : part
    }
    result = total!
  }
  return result
}
