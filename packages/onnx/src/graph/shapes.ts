import { OnnxError } from '../errors.ts'

/** NumPy's rule. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const first = a[axis - rank + a.length] ?? 1
    const second = b[axis - rank + b.length] ?? 1
    if (first === second || second === 1) return first
    if (first === 1) return second
    throw new OnnxError('ONNX_INPUT', `The shapes [${a.join(', ')}] and [${b.join(', ')}] do not broadcast.`)
  })
}

export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}

/** The shape that Reshape makes: 0 keeps an extent, −1 is what is left. */
export function reshapedShape(shape: readonly number[], wanted: readonly number[], keepZero: boolean): number[] {
  const given = wanted.map((extent, axis) => (extent === 0 && !keepZero ? (shape[axis] ?? 0) : extent))
  const known = given.filter((extent) => extent !== -1).reduce((product, extent) => product * extent, 1)
  const size = shape.reduce((product, extent) => product * extent, 1)
  return given.map((extent) => (extent === -1 ? (known === 0 ? 0 : size / known) : extent))
}

/** First position, count and step of a slice by NumPy's rules. */
export function sliceOf(extent: number, start: number, end: number, step: number): { first: number; count: number } {
  const clamp = (position: number) => {
    const own = position < 0 ? position + extent : position
    return step > 0 ? Math.min(Math.max(own, 0), extent) : Math.min(Math.max(own, -1), extent - 1)
  }
  const first = clamp(start)
  // From −1 backwards means "to the beginning"; as a given end it counts from the back, and clamps to the same.
  const last = clamp(end)
  return { first, count: Math.max(0, Math.ceil((last - first) / step)) }
}
