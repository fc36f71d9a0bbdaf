import { rowMajorStrides, type Shape, sizeOf } from './shape.ts'

/**
 * How a tensor lies in a buffer: element `[i, j, …]` stands at `offset + i · strides[0] + j · strides[1] + …`, counted in
 * elements. Stride 0 repeats an element (broadcast), a negative stride runs backwards (flip).
 */
export interface View {
  readonly shape: Shape
  readonly strides: readonly number[]
  readonly offset: number
}

export function rowMajorView(shape: Shape): View {
  return { shape, strides: rowMajorStrides(shape), offset: 0 }
}

/** True when the elements stand one after the other in row-major order (axes of extent 1 may have any stride). */
export function isRowMajor(view: View): boolean {
  let stride = 1
  for (let axis = view.shape.length - 1; axis >= 0; axis--) {
    const extent = view.shape[axis]!
    if (extent !== 1 && view.strides[axis] !== stride) return false
    stride *= extent
  }
  return true
}

export function permuteView(view: View, axes: readonly number[]): View {
  return {
    shape: axes.map((axis) => view.shape[axis]!),
    strides: axes.map((axis) => view.strides[axis]!),
    offset: view.offset,
  }
}

/** True when the elements of the last axis are neighbours, whatever the other strides are. */
export function hasAdjacentRows({ shape, strides }: View): boolean {
  return shape.length > 0 && (shape.at(-1) === 1 || strides.at(-1) === 1)
}

/** Repeats axes of extent 1 to the extents of `shape` (same number of axes). */
export function broadcastView(view: View, shape: Shape): View {
  const strides = view.strides.map((stride, axis) => (view.shape[axis] === shape[axis] ? stride : 0))
  return { shape, strides, offset: view.offset }
}

/** Elements `starts[axis] + k · steps[axis]`, `k` from 0 to `shape[axis]`. Steps may be negative. */
export function sliceView(view: View, starts: readonly number[], shape: Shape, steps: readonly number[]): View {
  let offset = view.offset
  for (let axis = 0; axis < shape.length; axis++) offset += starts[axis]! * view.strides[axis]!
  return { shape, strides: view.strides.map((stride, axis) => stride * steps[axis]!), offset }
}

/** The same elements in row-major order under another shape, or `undefined` where no strides can express that. */
export function reshapeView(view: View, shape: Shape): View | undefined {
  if (sizeOf(shape) === 0) return rowMajorView(shape)
  // Axes of the old view that run on into each other, as [extent, stride].
  const runs: { extent: number; stride: number }[] = []
  for (let axis = 0; axis < view.shape.length; axis++) {
    const extent = view.shape[axis]!
    const stride = view.strides[axis]!
    if (extent === 1) continue
    const last = runs.at(-1)
    if (last && last.stride === stride * extent) {
      last.extent *= extent
      last.stride = stride
    } else runs.push({ extent, stride })
  }
  const strides = new Array<number>(shape.length).fill(0)
  let run = runs.length - 1
  let left = runs[run]?.extent ?? 1
  let stride = runs[run]?.stride ?? 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis]!
    if (extent === 1) continue
    if (left === 1) {
      run--
      left = runs[run]?.extent ?? 1
      stride = runs[run]?.stride ?? 1
    }
    if (left % extent !== 0) return undefined
    strides[axis] = stride
    left /= extent
    stride *= extent
  }
  return { shape, strides, offset: view.offset }
}

/** Smallest and largest element position that a view touches; `undefined` for an empty one. */
export function viewBounds(view: View): { first: number; last: number } | undefined {
  let first = view.offset
  let last = view.offset
  for (let axis = 0; axis < view.shape.length; axis++) {
    const extent = view.shape[axis]!
    if (extent === 0) return undefined
    const reach = (extent - 1) * view.strides[axis]!
    if (reach < 0) first += reach
    else last += reach
  }
  return { first, last }
}
