import { type Shape, sizeOf } from '../../graph/shape.ts'
import type { View } from '../../graph/view.ts'

/** A run of axes of a view: which elements they reach, without the view's offset. */
export interface AxisGroup {
  readonly shape: Shape
  readonly strides: readonly number[]
  readonly size: number
}

/** Axes `[start, end)` of a view. */
export function axisGroup(view: Pick<View, 'shape' | 'strides'>, start: number, end: number): AxisGroup {
  const shape = view.shape.slice(start, end)
  return { shape, strides: view.strides.slice(start, end), size: sizeOf(shape) }
}

/** True when every element of the group is the same one. */
export const isConstant = (group: AxisGroup): boolean => group.strides.every((stride) => stride === 0)

/** Position, in elements, of the group's element number `flat` in row-major order. */
export function positionOf({ shape, strides }: AxisGroup, flat: number): number {
  let position = 0
  let rest = flat
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis]!
    const index = rest % extent
    position += index * strides[axis]!
    rest = (rest - index) / extent
  }
  return position
}

/** Writes the positions of the elements `start` to `start + count` of the group, in row-major order. */
export function fillPositions(group: AxisGroup, start: number, count: number, positions: Int32Array): void {
  const last = group.shape.length - 1
  if (last < 0) {
    positions.fill(0, 0, count)
    return
  }
  const extent = group.shape[last]!
  const stride = group.strides[last]!
  let flat = start
  let filled = 0
  while (filled < count) {
    // One stretch along the last axis at a time.
    const stretch = Math.min(count - filled, extent - (flat % extent))
    let position = positionOf(group, flat)
    for (const end = filled + stretch; filled < end; filled++) {
      positions[filled] = position
      position += stride
    }
    flat += stretch
  }
}

/** The positions of all elements of the group, in row-major order. */
export function allPositions(group: AxisGroup): Int32Array {
  const positions = new Int32Array(group.size)
  fillPositions(group, 0, group.size, positions)
  return positions
}
