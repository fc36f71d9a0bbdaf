import { expect, it } from 'vitest'
import { erf } from './erf.ts'

/** erf(x) = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (1·3·5·…·(2n+1)): all terms positive, so nothing cancels. */
function series(x: number): number {
  let term = x
  let sum = 0
  for (let n = 0; term > sum * 1e-18; n++) {
    sum += term
    term *= (2 * x * x) / (2 * n + 3)
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

it('agrees with the series to 1e-15 over all three ranges of the approximation', () => {
  let worst = 0
  for (let x = 0.001; x < 5.5; x += 0.00137) worst = Math.max(worst, Math.abs(erf(x) / series(x) - 1))
  expect(worst).toBeLessThan(3e-15)
})

it('agrees with tabulated values', () => {
  // Abramowitz & Stegun, table 7.1, and the tail 1 − erfc(x).
  const table = [
    [0.1, 0.1124629160182849],
    [0.46875, 0.492613473217938],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [5, 0.9999999999984626],
  ] as const
  for (const [x, expected] of table) {
    expect(Math.abs(erf(x) - expected)).toBeLessThan(2.3e-16)
    expect(erf(-x)).toBe(-erf(x))
  }
})

it('keeps its sign, its slope at 0 and its limits', () => {
  expect(Object.is(erf(-0), -0)).toBe(true)
  expect(erf(1e-20)).toBeCloseTo(1.1283791670955127e-20, 35)
  expect([erf(7), erf(Number.POSITIVE_INFINITY), erf(Number.NEGATIVE_INFINITY), erf(Number.NaN)]).toEqual([
    1,
    1,
    -1,
    Number.NaN,
  ])
})
