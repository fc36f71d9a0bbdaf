import type { OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  binary,
  divide,
  exp,
  log,
  multiply,
  reciprocal,
  square,
  squareRoot,
  subtract,
  unary,
  where,
} from '../build.ts'
import { createNode, type Node } from '../node.ts'
import type { Empty } from '../operations.ts'
import { signFactor } from './inverse-trigonometric.ts'
import { smoothFunction } from './smooth.ts'

/** Attributes of the ops in this file. */
export interface HyperbolicAttributes {
  hyperbolicSine: Empty
  hyperbolicCosine: Empty
  inverseHyperbolicSine: Empty
  inverseHyperbolicCosine: Empty
  inverseHyperbolicTangent: Empty
}

/** From here on 1 is lost beside x², in every format; squares beyond it need not be formed. */
const large = 2 ** 28

/** Half of e^|x|, as a square, so that it overflows only where the result does. */
function halfExponential(x: Node): Node {
  const root = exp(multiply(unary('absolute', x), 0.5))
  return multiply(multiply(root, 0.5), root)
}

export const hyperbolicSine: OpDefinition<'hyperbolicSine'> = /* @__PURE__ */ smoothFunction(
  'hyperbolicSine',
  (x) => {
    const magnitude = unary('absolute', x)
    const m = unary('expm1', binary('minimum', magnitude, 1))
    const small = multiply(add(m, divide(m, add(m, 1))), 0.5)
    const half = halfExponential(x)
    const beyond = subtract(half, divide(0.25, half))
    return multiply(where(binary('less', magnitude, 1), small, beyond), unary('sign', x))
  },
  (x) => createNode(hyperbolicCosine, [x], {}),
)

export const hyperbolicCosine: OpDefinition<'hyperbolicCosine'> = /* @__PURE__ */ smoothFunction(
  'hyperbolicCosine',
  (x) => {
    const half = halfExponential(x)
    return add(half, divide(0.25, half))
  },
  (x) => createNode(hyperbolicSine, [x], {}),
)

export const inverseHyperbolicSine: OpDefinition<'inverseHyperbolicSine'> = /* @__PURE__ */ smoothFunction(
  'inverseHyperbolicSine',
  (x) => {
    const magnitude = unary('absolute', x)
    const bounded = binary('minimum', magnitude, 1e4)
    const z = square(bounded)
    const small = unary('log1p', add(bounded, divide(z, add(squareRoot(add(z, 1)), 1))))
    // log(x + √(x² + 1)) with the root expanded is log(2x) + 1 / (4x²) − …
    const inverse = reciprocal(magnitude)
    const beyond = add(add(log(magnitude), multiply(square(inverse), 0.25)), Math.LN2)
    return multiply(where(binary('lessEqual', magnitude, 1e4), small, beyond), signFactor(x))
  },
  (x) =>
    where(
      binary('less', unary('absolute', x), large),
      reciprocal(squareRoot(add(square(x), 1))),
      reciprocal(unary('absolute', x)),
    ),
)

export const inverseHyperbolicCosine: OpDefinition<'inverseHyperbolicCosine'> = /* @__PURE__ */ smoothFunction(
  'inverseHyperbolicCosine',
  (x) => {
    const t = subtract(binary('minimum', x, 1e4), 1)
    const small = unary('log1p', add(t, squareRoot(multiply(t, add(t, 2)))))
    const beyond = subtract(add(log(x), Math.LN2), multiply(square(reciprocal(x)), 0.25))
    const value = where(binary('lessEqual', x, 1e4), small, beyond)
    return where(binary('less', x, 1), Number.NaN, value)
  },
  (x) => reciprocal(multiply(squareRoot(subtract(x, 1)), squareRoot(add(x, 1)))),
)

export const inverseHyperbolicTangent: OpDefinition<'inverseHyperbolicTangent'> = /* @__PURE__ */ smoothFunction(
  'inverseHyperbolicTangent',
  (x) => {
    const magnitude = unary('absolute', x)
    const value = multiply(unary('log1p', divide(multiply(magnitude, 2), subtract(1, magnitude))), 0.5)
    return multiply(value, signFactor(x))
  },
  (x) => reciprocal(multiply(subtract(1, x), add(x, 1))),
)
