import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { add, exp, multiply, reciprocal, square, subtract, unary } from '../build.ts'
import { isFloat } from '../format.ts'
import { createNode, formatSpec, type Node } from '../node.ts'

/** Attributes of the ops in this file. */
export interface GeluAttributes {
  gelu: { readonly approximation: 'none' | 'tanh' | 'sigmoid' }
}

type Approximation = GeluAttributes['gelu']['approximation']

const squareRootOfTwoOverPi = Math.sqrt(2 / Math.PI)
const cubic = 0.044715 * squareRootOfTwoOverPi

/** Hendrycks & Gimpel 2016: x · Φ(x); `tanh` is GPT-2's approximation, `sigmoid` x · σ(1.702 x). */
export const gelu: OpDefinition<'gelu'> = {
  op: 'gelu',
  shape: (inputs) => {
    const x = inputs[0]!
    if (!isFloat(x.dtype)) throw new ShapeError(`gelu: takes floats, got ${formatSpec(x)}.`)
    return [x]
  },
  lower: ([x], { approximation }) => [multiply(x!, gate(x!, approximation))],
  vjp: ({ inputs: [x], attributes: { approximation }, cotangents: [gradient] }) => {
    const share = gate(x!, approximation)
    // Φ' is the normal density; σ' is σ · (1 − σ) times the derivative of its argument.
    const density =
      approximation === 'none'
        ? multiply(exp(multiply(square(x!), -0.5)), 1 / Math.sqrt(2 * Math.PI))
        : multiply(multiply(share, subtract(1, share)), logitSlope(x!, approximation))
    return [multiply(gradient!, add(share, multiply(x!, density)))]
  },
  batch: ({ inputs, attributes }) => [createNode(gelu, inputs, attributes)],
}

/** Φ(x) or what stands for it. ½ + ½ tanh(u) is written as σ(2u): one exponential, and exact where x is far below 0. */
function gate(x: Node, approximation: Approximation): Node {
  if (approximation === 'none') return multiply(add(unary('erf', multiply(x, Math.SQRT1_2)), 1), 0.5)
  const negated =
    approximation === 'sigmoid'
      ? multiply(x, -1.702)
      : multiply(x, add(multiply(square(x), -2 * cubic), -2 * squareRootOfTwoOverPi))
  return reciprocal(add(exp(negated), 1))
}

/** Derivative of the argument of σ. */
function logitSlope(x: Node, approximation: 'tanh' | 'sigmoid'): Node | number {
  return approximation === 'sigmoid' ? 1.702 : add(multiply(square(x), 6 * cubic), 2 * squareRootOfTwoOverPi)
}
