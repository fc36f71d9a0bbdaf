import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { cast, matmul } from '../build.ts'
import { formatOf, isFloat } from '../format.ts'
import { formatSpec, type TensorSpec } from '../node.ts'
import { sameShape } from '../shape.ts'

/** Attributes of the op in this file. */
export interface WidenedMatmulAttributes {
  /**
   * `matmul` of two operands of f32 or narrower floats, each as it is stored: both are widened to f32, which is exact, multiplied and accumulated
   * in f32; gives f32. Products of narrow floats are lowered to it where a kernel takes it.
   */
  widenedMatmul: Readonly<Record<never, never>>
}

const isWidened = ({ dtype }: TensorSpec): boolean => isFloat(dtype) && formatOf(dtype).bits <= 32

export const widenedMatmul: OpDefinition<'widenedMatmul'> = {
  op: 'widenedMatmul',
  shape(inputs) {
    const [a, b] = inputs as readonly [TensorSpec, TensorSpec]
    const rank = a.shape.length
    const fits = inputs.length === 2 && rank >= 2 && b.shape.length === rank && inputs.every(isWidened)
    if (!fits || !sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2)) || a.shape[rank - 1] !== b.shape[rank - 2]) {
      throw new ShapeError(
        `widenedMatmul: takes floats of at most 32 bits, [..., M, K] × [..., K, N]; got ${inputs.map(formatSpec).join(' × ')}.`,
      )
    }
    return [{ shape: [...a.shape.slice(0, -1), b.shape[rank - 1]!], dtype: 'f32' }]
  },
  lower: ([a, b]) => [matmul(cast(a!, 'f32'), cast(b!, 'f32'))],
}
