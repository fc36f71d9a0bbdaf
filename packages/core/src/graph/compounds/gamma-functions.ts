import type { OpDefinition } from '../../plugin/contract.ts'
import { add, binary, constant, divide, log, multiply, reciprocal, square, subtract, unary, where } from '../build.ts'
import { createNode, type Node } from '../node.ts'
import type { Empty } from '../operations.ts'
import { polynomial, smoothFunction } from './smooth.ts'

/** Attributes of the ops in this file. */
export interface GammaFunctionAttributes {
  /** log |Γ(x)| */
  logGamma: Empty
  /** ψ(x) = d/dx log Γ(x) */
  digamma: Empty
  /** ψ′(x) */
  trigamma: Empty
}

// C. Lanczos, "A precision approximation of the gamma function" (1964), with g = 7 and nine coefficients (Godfrey 2001).
const lanczos = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
]
const halfLogOfTwoPi = 0.5 * Math.log(2 * Math.PI)

/** For arguments of at least ½. */
function logGammaPositive(x: Node): Node {
  const z = subtract(x, 1)
  let series = constant(0.9999999999998099, x.dtype)
  lanczos.forEach((coefficient, i) => {
    series = add(series, divide(coefficient, add(z, i + 1)))
  })
  const t = add(z, 7.5)
  return add(subtract(multiply(add(z, 0.5), log(t)), t), add(log(series), halfLogOfTwoPi))
}

/** sin(πx), exactly 0 at integers. */
function sineOfHalfTurns(x: Node): Node {
  const reduced = subtract(x, multiply(unary('round', multiply(x, 0.5)), 2))
  const magnitude = unary('absolute', reduced)
  const folded = binary('minimum', magnitude, subtract(1, magnitude))
  return multiply(unary('sin', multiply(folded, Math.PI)), unary('sign', reduced))
}

export const logGamma: OpDefinition<'logGamma'> = /* @__PURE__ */ smoothFunction(
  'logGamma',
  (x) => {
    const isSmall = binary('less', x, 0.5)
    const value = logGammaPositive(where(isSmall, subtract(1, x), x))
    // Γ(x) · Γ(1 − x) = π / sin(πx)
    const reflected = subtract(Math.log(Math.PI), log(unary('absolute', sineOfHalfTurns(x))))
    return where(
      binary('equal', unary('absolute', x), Number.POSITIVE_INFINITY),
      Number.POSITIVE_INFINITY,
      where(isSmall, subtract(reflected, value), value),
    )
  },
  (x) => createNode(digamma, [x], {}),
)

/** The recurrence is applied until the argument is at least 10, where the asymptotic series holds to float64. */
const shifts = 10

/** log x − 1/2x − Σ B₂ₖ / (2k · x²ᵏ) */
const digammaSeries = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12]

export const digamma: OpDefinition<'digamma'> = /* @__PURE__ */ smoothFunction(
  'digamma',
  (x) => {
    const isSmall = binary('less', x, 0.5)
    const argument = where(isSmall, subtract(1, x), x)
    let shifted = argument
    let sum = constant(0, x.dtype)
    for (let i = 0; i < shifts; i++) {
      const below = binary('less', shifted, shifts)
      sum = add(sum, where(below, reciprocal(shifted), 0))
      shifted = where(below, add(shifted, 1), shifted)
    }
    const inverse = reciprocal(shifted)
    const z = square(inverse)
    const series = add(multiply(inverse, 0.5), multiply(z, polynomial(z, digammaSeries)))
    const value = subtract(subtract(log(shifted), series), sum)
    // ψ(1 − x) − ψ(x) = π / tan(πx)
    const sine = sineOfHalfTurns(x)
    const cotangent = divide(multiply(sineOfHalfTurns(add(x, 0.5)), Math.PI), sine)
    const isPole = binary('and', binary('equal', sine, 0), binary('less', x, 0))
    return where(isPole, Number.NaN, where(isSmall, subtract(value, cotangent), value))
  },
  (x) => createNode(trigamma, [x], {}),
)

/** 1/x + 1/2x² + Σ B₂ₖ / x²ᵏ⁺¹ */
const trigammaSeries = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6]

export const trigamma: OpDefinition<'trigamma'> = /* @__PURE__ */ smoothFunction('trigamma', (x) => {
  const isSmall = binary('less', x, 0.5)
  let shifted = where(isSmall, subtract(1, x), x)
  let sum = constant(0, x.dtype)
  for (let i = 0; i < shifts; i++) {
    const below = binary('less', shifted, shifts)
    sum = add(sum, where(below, square(reciprocal(shifted)), 0))
    shifted = where(below, add(shifted, 1), shifted)
  }
  const inverse = reciprocal(shifted)
  const z = square(inverse)
  const series = add(multiply(z, 0.5), multiply(multiply(z, inverse), polynomial(z, trigammaSeries)))
  const value = add(add(inverse, series), sum)
  // ψ′(1 − x) + ψ′(x) = π² / sin²(πx)
  const reflected = divide(Math.PI ** 2, square(sineOfHalfTurns(x)))
  return where(isSmall, subtract(reflected, value), value)
})
