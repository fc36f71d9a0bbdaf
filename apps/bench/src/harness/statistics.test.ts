import { describe, expect, it } from 'vitest'
import { relativeError, summarize } from './statistics.ts'

describe('summarize', () => {
  it('takes the middle of an odd number, in numeric order', () => {
    expect(summarize([10, 9, 100])).toEqual({ median: 10, min: 9, max: 100 })
  })
  it('takes the mean of the middle two of an even number and leaves its input alone', () => {
    const values = [4, 1, 3, 2]
    expect(summarize(values)).toEqual({ median: 2.5, min: 1, max: 4 })
    expect(values).toEqual([4, 1, 3, 2])
  })
  it('refuses an empty sample', () => {
    expect(() => summarize([])).toThrow(/empty/)
  })
})

describe('relativeError', () => {
  it('is the root of squared differences over squared expectations', () => {
    expect(relativeError([3, 4.5], [3, 4])).toBeCloseTo(0.1, 12)
    expect(relativeError([1, 2], [1, 2])).toBe(0)
    expect(relativeError([0], [0])).toBe(0)
  })
  it('is NaN for NaN and infinite against zero', () => {
    expect(relativeError([Number.NaN, 1], [1, 1])).toBeNaN()
    expect(relativeError([1], [0])).toBe(Number.POSITIVE_INFINITY)
  })
  it('refuses unequal lengths', () => {
    expect(() => relativeError([1], [1, 2])).toThrow(/1 values compared with 2/)
  })
})
