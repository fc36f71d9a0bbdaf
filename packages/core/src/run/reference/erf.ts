/**
 * The error function in float64: W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of
 * Computation 23 (1969) 631–637, with the coefficients and the split of exp(−x²) of his CALERF (1990).
 */

// |x| ≤ 0.46875: erf(x) = x · P(x²) / Q(x²).
const smallNumerator = [
  0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694,
]
const smallDenominator = [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171]

// 0.46875 < x ≤ 4: erfc(x) = exp(−x²) · P(x) / Q(x).
const middleNumerator = [
  2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001, 881.952221241769,
  1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
]
const middleDenominator = [
  1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
  4362.619090143247, 3439.3676741437216, 1230.3393548037495,
]

// x > 4: erfc(x) = exp(−x²) / x · (1/√π − t · P(t) / Q(t)) with t = 1 / x².
const largeNumerator = [
  0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
  0.0006587491615298378,
]
const largeDenominator = [
  1, 2.568520192289822, 1.8729528499234604, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
]
const inverseSquareRootOfPi = 0.5641895835477563

/** Coefficients stand with the highest power first. */
function polynomial(coefficients: readonly number[], x: number): number {
  let result = 0
  for (const coefficient of coefficients) result = result * x + coefficient
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
    magnitude <= 4 ? polynomial(middleNumerator, magnitude) / polynomial(middleDenominator, magnitude) : tail(magnitude)
  return Math.sign(x) * (1 - gaussian(magnitude) * scale)
}

function tail(x: number): number {
  const t = 1 / (x * x)
  return (inverseSquareRootOfPi - (t * polynomial(largeNumerator, t)) / polynomial(largeDenominator, t)) / x
}
