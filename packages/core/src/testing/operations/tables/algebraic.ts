import { broadcastShapes, type Shape } from '../../../graph/shape.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { at, fill, type HostTensor, reshaped } from '../host.ts'
import { floats, type OpCase, type OpTest } from '../op-test.ts'

/** What the tables of linear algebra share. */

export const rough = { relative: 64, absolute: 64 }

export function algebraic(op: string, cases: readonly OpCase[], settings: Partial<OpTest> = {}): OpTest {
  return { op, topic: 'linear algebra', cases, formats: floats, gradient: true, spacings: rough, ...settings }
}

export function one(
  name: string,
  shape: Shape,
  apply: (x: Tensor) => Tensor,
  expected: (x: HostTensor) => HostTensor,
): OpCase {
  return { name, operands: [{ shape }], apply, expected: (x) => expected(x!) }
}

export function two(
  name: string,
  [a, b]: readonly [Shape, Shape],
  apply: (a: Tensor, b: Tensor) => Tensor,
  expected: (a: HostTensor, b: HostTensor) => HostTensor,
): OpCase {
  return { name, operands: [{ shape: a }, { shape: b }], apply, expected: (x, y) => expected(x!, y!) }
}

/** NumPy's matrix product. */
export function product(a: HostTensor, b: HostTensor): HostTensor {
  const left = a.shape.length === 1 ? reshaped(a, [1, ...a.shape]) : a
  const right = b.shape.length === 1 ? reshaped(b, [...b.shape, 1]) : b
  const extents = broadcastShapes('reference', left.shape.slice(0, -2), right.shape.slice(0, -2))
  const rank = extents.length
  const inner = left.shape.at(-1)!
  const whole = fill([...extents, left.shape.at(-2)!, right.shape.at(-1)!], (index) => {
    const [outer, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!]
    let sum = 0
    for (let k = 0; k < inner; k++) sum += at(left, [...outer, row, k]) * at(right, [...outer, k, column])
    return sum
  })
  const kept = whole.shape.filter(
    (_, axis) => !(a.shape.length === 1 && axis === rank) && !(b.shape.length === 1 && axis === rank + 1),
  )
  return reshaped(whole, kept)
}
