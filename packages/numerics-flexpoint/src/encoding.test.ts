import { describe, expect, it } from 'vitest'
import { decodeFlex, encodeFlex, fittingScale, flexMatmul, largestMantissa, roundHalfToEven } from './encoding.ts'

const numbers = (count: number, size = 1) =>
  Array.from({ length: count }, (_, i) => size * Math.sin(12.9898 * (i + 1) * (i + 3)))

describe('encodeFlex', () => {
  it.each([8, 12, 16, 24])('is exact to half a step with %i bits', (bits) => {
    for (const size of [1e-6, 0.3, 1, 100]) {
      const values = numbers(101, size)
      const stored = encodeFlex(values, { bits, exponentBits: 5 })
      const decoded = decodeFlex(stored)
      for (const [i, value] of values.entries())
        expect(Math.abs(decoded[i]! - value)).toBeLessThanOrEqual(stored.scale / 2)
      expect(decodeFlex(encodeFlex(decoded, stored, stored.scale))).toEqual(decoded)
    }
  })

  it('takes half and a quarter of the memory of f32', () => {
    expect(encodeFlex(numbers(10), { bits: 16, exponentBits: 5 }).mantissas).toBeInstanceOf(Int16Array)
    expect(encodeFlex(numbers(10), { bits: 8, exponentBits: 5 }).mantissas).toBeInstanceOf(Int8Array)
  })

  it('saturates and never wraps', () => {
    const { mantissas } = encodeFlex([1e9, -1e9, 3], { bits: 16, exponentBits: 5 }, 1)
    expect([...mantissas]).toEqual([32767, -32768, 3])
  })

  it('rounds half to even, or by chance', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, 2.5001].map(roundHalfToEven)).toEqual([0, 2, 2, 0, -2, 2, 3])
    let next = 0
    const stochastic = () => {
      next = (next + 0.618034) % 1
      return next
    }
    const stored = encodeFlex(new Array(1000).fill(0.25), { bits: 16, exponentBits: 5 }, 1, { stochastic })
    expect(decodeFlex(stored).reduce((sum, value) => sum + value, 0) / 1000).toBeCloseTo(0.25, 2)
  })

  it('has the smallest scale that fits', () => {
    const sizes = { bits: 16, exponentBits: 5 }
    for (const size of [0.001, 0.7, 1, 32767, 0.999999]) {
      const scale = fittingScale([size], sizes)
      expect(roundHalfToEven(size / scale)).toBeLessThanOrEqual(largestMantissa(16))
      if (scale > 2 ** -31) expect(roundHalfToEven((2 * size) / scale)).toBeGreaterThan(largestMantissa(16))
    }
    expect(fittingScale([0, 0], sizes)).toBe(1)
  })

  it('says what it cannot hold', () => {
    const sizes = { bits: 16, exponentBits: 5 }
    expect(() => encodeFlex([1, Number.NaN], sizes)).toThrow(/element 1 is NaN/)
    expect(() => encodeFlex([1], sizes, 0.3)).toThrow(/power of two from 2\^-31 to 1, got 0.3/)
    expect(() => encodeFlex([1], { bits: 25, exponentBits: 5 })).toThrow(/from 8 to 24/)
  })
})

describe('flexMatmul', () => {
  it('equals whole-number arithmetic to the bit', () => {
    const [rows, inner, columns] = [3, 65, 4] as const
    for (const bits of [8, 16]) {
      const a = encodeFlex(numbers(rows * inner), { bits, exponentBits: 5 })
      const b = encodeFlex(numbers(inner * columns, 3), { bits, exponentBits: 5 })
      const scale = 2 ** (6 - bits)
      const product = flexMatmul(a, b, [rows, inner, columns], scale)
      const shift = Math.round(Math.log2(scale / (a.scale * b.scale)))
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0n
          for (let k = 0; k < inner; k++)
            sum += BigInt(a.mantissas[i * inner + k]!) * BigInt(b.mantissas[k * columns + j]!)
          // Half to even in whole numbers.
          const step = 1n << BigInt(shift)
          let quotient = sum / step
          let rest = sum % step
          if (rest < 0n) {
            quotient -= 1n
            rest += step
          }
          if (2n * rest > step || (2n * rest === step && quotient % 2n !== 0n)) quotient += 1n
          const largest = BigInt(largestMantissa(bits))
          const saturated = quotient > largest ? largest : quotient < -largest - 1n ? -largest - 1n : quotient
          expect(BigInt(product.mantissas[i * columns + j]!)).toBe(saturated)
        }
      }
    }
  })
})
