import { erf } from '../../../run/reference/erf.ts'

/** References of special functions in float64, by other ways than core's definitions. */

/** 1 − erf(x); beyond 2 by the continued fraction e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 3/2/(x + …)))). */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return x
  if (x < 0) return 2 - erfc(-x)
  if (x < 2) return 1 - erf(x)
  if (x > 30) return 0
  let fraction = x
  for (let k = 120; k > 0; k--) fraction = x + k / 2 / fraction
  return Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI))
}

/** By bisection. */
export function erfInverse(y: number): number {
  let [low, high] = [-6, 6]
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2
    if (erf(middle) < y) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** By the recurrence up to 20 and Stirling's series from there. */
export function logGamma(x: number): number {
  if (Math.abs(x) === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  if (x <= 0 && Number.isInteger(x)) return Number.POSITIVE_INFINITY
  let product = 1
  let argument = x
  while (argument < 20) {
    product *= argument
    argument++
  }
  const z = 1 / argument ** 2
  const series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z / 1680))) / argument
  return (
    (argument - 0.5) * Math.log(argument) -
    argument +
    0.5 * Math.log(2 * Math.PI) +
    series -
    Math.log(Math.abs(product))
  )
}

/** By the recurrence up to 20 and the asymptotic series from there. */
export function digamma(x: number): number {
  if (x === 0) return Number.NEGATIVE_INFINITY
  if (x === Number.NEGATIVE_INFINITY || (x < 0 && Number.isInteger(x))) return Number.NaN
  let sum = 0
  let argument = x
  while (argument < 20) {
    sum += 1 / argument
    argument++
  }
  const z = 1 / argument ** 2
  return Math.log(argument) - 0.5 / argument - z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z / 240))) - sum
}
