import { broadcastShapes, rowMajorStrides, type Shape, sizeOf } from '../../graph/shape.ts'

/** A tensor on the host in float64: what references of ops compute with. */
export interface HostTensor {
  readonly shape: Shape
  readonly data: Float64Array
}

/** Every index of a shape in row-major order. */
export function* indicesOf(shape: Shape): Generator<number[]> {
  const index = shape.map(() => 0)
  for (let remaining = sizeOf(shape); remaining > 0; remaining--) {
    yield [...index]
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++
      if (index[axis]! < shape[axis]!) break
      index[axis] = 0
    }
  }
}

/** A tensor whose element at each index is given by a function. */
export function fill(shape: Shape, value: (index: readonly number[]) => number): HostTensor {
  const data = new Float64Array(sizeOf(shape))
  let position = 0
  for (const index of indicesOf(shape)) data[position++] = value(index)
  return { shape, data }
}

/** The element at an index. Indices of missing or single axes broadcast. */
export function at(x: HostTensor, index: readonly number[]): number {
  const strides = rowMajorStrides(x.shape)
  const skipped = index.length - x.shape.length
  let position = 0
  for (let axis = 0; axis < x.shape.length; axis++)
    if (x.shape[axis] !== 1) position += strides[axis]! * index[axis + skipped]!
  return x.data[position]!
}

/** A function of elements, with broadcasting. */
export function mapElements(value: (...elements: number[]) => number, ...inputs: readonly HostTensor[]): HostTensor {
  const shape = inputs.reduce<Shape>((joint, x) => broadcastShapes('reference', joint, x.shape), [])
  return fill(shape, (index) => value(...inputs.map((x) => at(x, index))))
}

/** A function of the elements that share an index outside of `axes`; the axes stay with extent 1. */
export function reduceElements(
  x: HostTensor,
  axes: readonly number[],
  value: (elements: readonly number[]) => number,
): HostTensor {
  const inner = axes.map((axis) => x.shape[axis]!)
  return fill(
    x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent)),
    (outer) => {
      const elements: number[] = []
      for (const index of indicesOf(inner)) {
        const whole = [...outer]
        axes.forEach((axis, i) => {
          whole[axis] = index[i]!
        })
        elements.push(at(x, whole))
      }
      return value(elements)
    },
  )
}

/** A function of each row along an axis; the result may have another length, the same for every row. */
export function mapRows(x: HostTensor, axis: number, value: (row: readonly number[]) => readonly number[]): HostTensor {
  const others = x.shape.map((extent, i) => (i === axis ? 1 : extent))
  const rows = new Map<string, readonly number[]>()
  for (const index of indicesOf(others)) {
    const row = Array.from({ length: x.shape[axis]! }, (_, k) =>
      at(
        x,
        index.map((position, i) => (i === axis ? k : position)),
      ),
    )
    rows.set(index.join(), value(row))
  }
  const length = [...rows.values()][0]?.length ?? x.shape[axis]!
  return fill(
    x.shape.map((extent, i) => (i === axis ? length : extent)),
    (index) => rows.get(index.map((position, i) => (i === axis ? 0 : position)).join())![index[axis]!]!,
  )
}

/** The same elements in another shape. */
export const reshaped = (x: HostTensor, shape: Shape): HostTensor => ({ shape, data: x.data })

/** Without axes of extent 1. */
export const withoutAxes = (x: HostTensor, axes: readonly number[]): HostTensor =>
  reshaped(
    x,
    x.shape.filter((_, axis) => !axes.includes(axis)),
  )
