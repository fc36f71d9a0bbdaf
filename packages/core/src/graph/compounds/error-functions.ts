import type { OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  binary,
  divide,
  exp,
  log,
  multiply,
  negate,
  reciprocal,
  square,
  squareRoot,
  subtract,
  unary,
  where,
} from '../build.ts'
import { inverseSquareRootOfPi, middle, tail } from '../error-function.ts'
import type { Node } from '../node.ts'
import type { Empty } from '../operations.ts'
import { polynomial, smoothFunction } from './smooth.ts'

/** Attributes of the ops in this file. */
export interface ErrorFunctionAttributes {
  complementaryErrorFunction: Empty
  inverseErrorFunction: Empty
}

/** exp(−x²) without the rounding error of x²: the leading part of x is squared exactly. */
function gaussian(x: Node): Node {
  const leading = multiply(unary('floor', multiply(x, 16)), 1 / 16)
  return multiply(exp(negate(square(leading))), exp(negate(multiply(subtract(x, leading), add(x, leading)))))
}

/** erfc of a number that is at least 0.46875. */
function erfcBeyond(x: Node): Node {
  const near = binary('minimum', x, 4)
  const inMiddle = divide(polynomial(near, middle.numerator), polynomial(near, middle.denominator))
  const large = binary('maximum', x, 4)
  const t = square(reciprocal(large))
  const correction = multiply(t, divide(polynomial(t, tail.numerator), polynomial(t, tail.denominator)))
  const inTail = divide(subtract(inverseSquareRootOfPi, correction), large)
  // Beyond 30 the result is 0 in every format, and infinities would meet in the Gaussian.
  return multiply(gaussian(binary('minimum', x, 30)), where(binary('lessEqual', x, 4), inMiddle, inTail))
}

const gradientScale = 2 / Math.sqrt(Math.PI)

/** 1 − erf(x), accurate where erf is near 1. */
export const complementaryErrorFunction: OpDefinition<'complementaryErrorFunction'> = /* @__PURE__ */ smoothFunction(
  'complementaryErrorFunction',
  (x) => {
    const magnitude = unary('absolute', x)
    const beyond = erfcBeyond(binary('maximum', magnitude, 0.46875))
    return where(
      binary('less', magnitude, 0.46875),
      subtract(1, unary('erf', x)),
      where(binary('less', x, 0), subtract(2, beyond), beyond),
    )
  },
  (x) => multiply(exp(negate(square(x))), -gradientScale),
)

// M. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2011): polynomials in w = −log(1 − x²).
const central = [
  1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-6, -3.5233877e-6, 3.43273939e-7,
  2.81022636e-8,
]
const outer = [
  2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558,
  -0.000200214257,
]

/** The inverse of erf on (−1, 1); ±∞ at ±1. In f64 Newton's method follows the approximation, which is good to f32. */
export const inverseErrorFunction: OpDefinition<'inverseErrorFunction'> = /* @__PURE__ */ smoothFunction(
  'inverseErrorFunction',
  (x) => {
    const w = negate(log(multiply(subtract(1, x), add(x, 1))))
    const bounded = binary('minimum', w, 32)
    const near = polynomial(subtract(binary('minimum', w, 5), 2.5), central)
    const far = polynomial(subtract(squareRoot(binary('maximum', bounded, 5)), 3), outer)
    let y = multiply(where(binary('less', w, 5), near, far), x)
    if (x.dtype === 'f64') for (let step = 0; step < 3; step++) y = newtonStep(x, y)
    const infinite = multiply(x, Number.POSITIVE_INFINITY)
    return where(binary('equal', unary('absolute', x), 1), infinite, y)
  },
  (_, y) => multiply(exp(square(y)), 1 / gradientScale),
)

/** One step towards erf(y) = x, on the side where the difference does not cancel. */
function newtonStep(x: Node, y: Node): Node {
  const magnitude = binary('maximum', unary('absolute', y), 0.46875)
  const missing = subtract(subtract(1, unary('absolute', x)), erfcBeyond(magnitude))
  const outside = multiply(negate(missing), unary('sign', x))
  const difference = where(binary('less', unary('absolute', y), 0.46875), subtract(unary('erf', y), x), negate(outside))
  return subtract(y, multiply(difference, multiply(exp(square(y)), 1 / gradientScale)))
}
