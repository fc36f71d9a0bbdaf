import { describe, expect, it } from 'vitest'
import { CounterRandom, philox } from './counter-random.ts'

describe('philox', () => {
  it('gives the known answers of Random123 for philox4x32-10', () => {
    const ones = 0xffffffff
    expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
    expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd])
    const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const
    expect(philox(pi, [0xa4093822, 0x299f31d0])).toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1])
  })
})

describe('CounterRandom', () => {
  it('depends on the seed and the stream alone', () => {
    const take = (seed: number, stream: number) => {
      const random = new CounterRandom(seed, stream)
      return Array.from({ length: 9 }, () => random.nextBits())
    }
    expect(take(1, 2)).toEqual(take(1, 2))
    const streams = [take(1, 2), take(2, 1), take(1, 3), take(1 + 2 ** 32, 2), take(1, 2 + 2 ** 32)]
    expect(new Set(streams.map(String)).size).toBe(streams.length)
    expect(new Set(take(1, 2)).size).toBe(9)
  })

  it('gives fractions that are uniform in [0, 1)', () => {
    const random = new CounterRandom(7)
    const bins = new Array(10).fill(0)
    for (let index = 0; index < 10_000; index++) bins[Math.floor(random.nextFraction() * 10)]++
    // Each bin expects 1,000 with a standard deviation of 30.
    for (const bin of bins) expect(Math.abs(bin - 1000)).toBeLessThan(150)
  })

  it.each([-1, 0.5, Number.NaN, 2 ** 53])('refuses the seed %s', (seed) => {
    expect(() => new CounterRandom(seed)).toThrow(/seed must be an integer from 0/)
  })
})
