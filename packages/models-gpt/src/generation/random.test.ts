import { describe, expect, it } from 'vitest'
import { threefry, uniformAt } from './random.ts'

describe('threefry', () => {
  // The known answers of the Random123 distribution for threefry2x32, 20 rounds.
  it.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344],
      [0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ] as const)('gives the known answer for key %j and counter %j', (key, counter, answer) => {
    expect(threefry(key, counter)).toEqual(answer)
  })
})

describe('uniformAt', () => {
  it('is uniform on [0, 1): mean and variance of 10,000 numbers', () => {
    const numbers = Array.from({ length: 10_000 }, (_, i) => uniformAt(7, i % 3, i))
    const mean = numbers.reduce((total, x) => total + x, 0) / numbers.length
    const variance = numbers.reduce((total, x) => total + (x - mean) ** 2, 0) / numbers.length
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...numbers)).toBeLessThan(1)
    // Four standard errors: √(1/12 / n) of the mean, √(1/180 / n) of the variance.
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / numbers.length))
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(4 * Math.sqrt(1 / 180 / numbers.length))
  })

  it('depends on seed, sample and position, also above 2^32', () => {
    const all = [
      [7, 0, 0],
      [8, 0, 0],
      [7 + 2 ** 32, 0, 0],
      [7, 1, 0],
      [7, 0, 1],
    ] as const
    expect(new Set(all.map(([seed, sample, position]) => uniformAt(seed, sample, position))).size).toBe(all.length)
    expect(uniformAt(7, 1, 2)).toBe(uniformAt(7, 1, 2))
  })
})
