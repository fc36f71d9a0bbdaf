import * as build from '../graph/build.ts'
import { operand, Tensor, type TensorLike } from './tensor.ts'

/** Elements of `a` where the condition holds, of `b` elsewhere; all three broadcast. */
export function where(condition: Tensor, a: TensorLike, b: TensorLike): Tensor {
  return new Tensor(build.where(condition.node, operand(a), operand(b)))
}
