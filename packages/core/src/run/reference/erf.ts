import { inverseSquareRootOfPi, tail as large, middle } from '../../graph/error-function.ts'

/**
 * The error function in float64: W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of
 * Computation 23 (1969) 631–637, with the coefficients and the split of exp(−x²) of his CALERF (1990).
 */

// |x| ≤ 0.46875: erf(x) = x · P(x²) / Q(x²).
const smallNumerator = [
  3209.3775891384694, 377.485237685302, 113.86415415105016, 3.1611237438705655, 0.18577770618460315,
]
const smallDenominator = [2844.236833439171, 1282.6165260773723, 244.02463793444417, 23.601290952344122, 1]

/** Coefficients stand with the lowest power first. */
function polynomial(coefficients: readonly number[], x: number): number {
  let result = 0
  for (let i = coefficients.length - 1; i >= 0; i--) result = result * x + coefficients[i]!
  return result
}

/** exp(−x²) without the rounding error of x²: the leading part of x is squared exactly. */
function gaussian(x: number): number {
  const leading = Math.trunc(x * 16) / 16
  return Math.exp(-leading * leading) * Math.exp(-(x - leading) * (x + leading))
}

/** erf(x) = 2/√π ∫₀ˣ exp(−t²) dt, to about 1e-16. */
export function erf(x: number): number {
  const magnitude = Math.abs(x)
  if (!(magnitude > 0.46875)) {
    const square = magnitude > 1e-17 ? x * x : 0
    return (x * polynomial(smallNumerator, square)) / polynomial(smallDenominator, square)
  }
  // From here erf differs from 1 by less than half a unit in the last place.
  if (magnitude > 6) return Math.sign(x)
  const scale =
    magnitude <= 4
      ? polynomial(middle.numerator, magnitude) / polynomial(middle.denominator, magnitude)
      : tail(magnitude)
  return Math.sign(x) * (1 - gaussian(magnitude) * scale)
}

function tail(x: number): number {
  const t = 1 / (x * x)
  return (inverseSquareRootOfPi - (t * polynomial(large.numerator, t)) / polynomial(large.denominator, t)) / x
}
