import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { add, cast, constant, multiply } from '../build.ts'
import { isFloat } from '../format.ts'
import { formatSpec, type Node } from '../node.ts'
import type { OpName } from '../operations.ts'

/** A function of one float, with its derivative at `x`, where `y` is its value; without one it is derived from the definition. */
export function smoothFunction<Op extends OpName>(
  op: Op,
  value: (x: Node) => Node,
  derivative?: (x: Node, y: Node) => Node,
): OpDefinition<Op> {
  return {
    op,
    shape: ([x]) => {
      if (!x || !isFloat(x.dtype)) throw new ShapeError(`${op}: takes floats, got ${x ? formatSpec(x) : 'nothing'}.`)
      return [{ shape: x.shape, dtype: x.dtype }]
    },
    lower: ([x]) => [cast(value(inSingle(x!)), x!.dtype)],
    ...(derivative && {
      vjp: ({ inputs: [x], outputs: [y], cotangents: [gradient] }) => [multiply(gradient!, derivative(x!, y!))],
    }),
  }
}

/** Formats of 16 bits are computed in f32: approximations need its precision and range. */
export const inSingle = (x: Node): Node => (x.dtype === 'f64' ? x : cast(x, 'f32'))

/** Σ coefficients[i] · xⁱ by Horner's rule. */
export function polynomial(x: Node, coefficients: readonly number[]): Node {
  let sum = constant(coefficients.at(-1)!, x.dtype)
  for (const coefficient of coefficients.slice(0, -1).reverse()) sum = add(multiply(sum, x), coefficient)
  return sum
}
