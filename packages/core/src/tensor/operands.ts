import { broadcastTo, cast, constant } from '../graph/build.ts'
import { isFloat, promote } from '../graph/format.ts'
import { broadcastShapes } from '../graph/shape.ts'
import { Tensor, type TensorLike } from './tensor.ts'

/** Floats as they are, other numbers as f32. */
export function floating(x: Tensor): Tensor {
  return isFloat(x.dtype) ? x : x.cast('f32')
}

/** Two operands in one shape and one format; a number takes the format of the other if that is a float, else f32. */
export function broadcastTogether(operation: string, a: TensorLike, b: TensorLike): [Tensor, Tensor] {
  const lift = (value: TensorLike, other: TensorLike) =>
    typeof value !== 'number'
      ? value.node
      : constant(value, typeof other !== 'number' && isFloat(other.dtype) ? other.dtype : 'f32')
  const [left, right] = [lift(a, b), lift(b, a)]
  const shape = broadcastShapes(operation, left.shape, right.shape)
  const dtype = promote(left.dtype, right.dtype)
  return [new Tensor(broadcastTo(cast(left, dtype), shape)), new Tensor(broadcastTo(cast(right, dtype), shape))]
}
