import { sizeOf } from '@tessera/core'
import type { Constant } from '../format/tensor.ts'
import { broadcastShape, stridesOf } from './shapes.ts'

/** Applies a function to numbers that broadcast against each other. */
export function foldElements(
  inputs: readonly Constant[],
  apply: (...values: number[]) => number,
  type = inputs[0]!.type,
): Constant {
  const shape = inputs.map((input) => input.shape).reduce(broadcastShape)
  const strides = inputs.map((input) => {
    const own = stridesOf(input.shape)
    const padding = shape.length - input.shape.length
    return shape.map((_, axis) => (axis < padding || input.shape[axis - padding] === 1 ? 0 : own[axis - padding]!))
  })
  const data = eachIndex(shape).map((index) =>
    apply(
      ...inputs.map(
        (input, i) => input.data[index.reduce((sum, position, axis) => sum + position * strides[i]![axis]!, 0)]!,
      ),
    ),
  )
  return { type, shape, data }
}

/** Builds a constant whose elements are taken from positions of another. */
export function foldPick(
  source: Constant,
  shape: readonly number[],
  position: (index: readonly number[]) => readonly number[],
): Constant {
  const strides = stridesOf(source.shape)
  const data = eachIndex(shape).map(
    (index) => source.data[position(index).reduce((sum, at, axis) => sum + at * strides[axis]!, 0)]!,
  )
  return { type: source.type, shape, data }
}

/** All the indices of a shape in row-major order. */
function eachIndex(shape: readonly number[]): number[][] {
  return Array.from({ length: sizeOf(shape) }, (_, flat) => {
    const index = new Array<number>(shape.length)
    let rest = flat
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape[axis]!
      rest = Math.floor(rest / shape[axis]!)
    }
    return index
  })
}
