import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { add, divide, exp, multiply, square, tanh, unary } from '../build.ts'
import { isFloat } from '../format.ts'
import { createNode, formatSpec } from '../node.ts'

/** Attributes of the ops in this file. */
export interface GeluAttributes {
  gelu: { readonly approximation: 'none' | 'tanh' | 'sigmoid' }
}

const squareRootOfTwoOverPi = Math.sqrt(2 / Math.PI)

/** Hendrycks & Gimpel 2016: x · Φ(x); `tanh` is GPT-2's approximation, `sigmoid` x · σ(1.702 x). */
export const gelu: OpDefinition<'gelu'> = {
  op: 'gelu',
  shape: (inputs) => {
    const x = inputs[0]!
    if (!isFloat(x.dtype)) throw new ShapeError(`gelu: takes floats, got ${formatSpec(x)}.`)
    return [x]
  },
  lower: ([x], { approximation }) => {
    if (approximation === 'sigmoid') return [divide(x!, add(exp(multiply(x!, -1.702)), 1))]
    const inner =
      approximation === 'tanh'
        ? tanh(multiply(x!, add(multiply(square(x!), squareRootOfTwoOverPi * 0.044715), squareRootOfTwoOverPi)))
        : unary('erf', multiply(x!, Math.SQRT1_2))
    return [multiply(multiply(x!, 0.5), add(inner, 1))]
  },
  batch: ({ inputs, attributes }) => [createNode(gelu, inputs, attributes)],
}
