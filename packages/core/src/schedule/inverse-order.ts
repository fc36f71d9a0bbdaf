import type { Node } from '../graph/node.ts'
import { rowMajorStrides, sizeOf } from '../graph/shape.ts'
import type { View } from '../graph/view.ts'

/**
 * The strides that put the elements of `base` where a copy of `view` to memory with strides `target` would put them;
 * `undefined` where the view is not just another order of the axes.
 */
export function inverseOrder(view: View, base: Node, target: readonly number[]): number[] | undefined {
  if (view.offset !== 0 || sizeOf(view.shape) !== sizeOf(base.shape)) return undefined
  const own = rowMajorStrides(base.shape)
  const strides = new Array<number>(base.shape.length).fill(0)
  const taken = new Set<number>()
  for (let axis = 0; axis < view.shape.length; axis++) {
    if (view.shape[axis] === 1) continue
    const match = own.findIndex(
      (stride, i) => stride === view.strides[axis] && base.shape[i] === view.shape[axis] && !taken.has(i),
    )
    if (match < 0) return undefined
    taken.add(match)
    strides[match] = target[axis]!
  }
  return base.shape.every((extent, i) => extent === 1 || taken.has(i)) ? strides : undefined
}
