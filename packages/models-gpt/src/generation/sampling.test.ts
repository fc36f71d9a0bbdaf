import { describe, expect, it } from 'vitest'
import { CounterRandom } from '../tokenizers/counter-random.ts'
import { type SamplingOptions, sampleToken } from './sampling.ts'

const logits = Float32Array.from([1, 3, 2, 3, -1])

/** Share of each token in 4,000 samples. */
function shares(options: SamplingOptions): number[] {
  const random = new CounterRandom(1)
  const counts = new Array<number>(logits.length).fill(0)
  for (let i = 0; i < 4000; i++) counts[sampleToken(logits, options, random.nextFraction())]!++
  return counts.map((count) => count / 4000)
}

function softmax(values: readonly number[]): number[] {
  const weights = values.map(Math.exp)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}

/** Four standard errors of a share. */
function expectShares(actual: number[], expected: readonly number[]): void {
  actual.forEach((share, token) => {
    const p = expected[token]!
    expect(Math.abs(share - p)).toBeLessThanOrEqual(4 * Math.sqrt((p * (1 - p)) / 4000))
  })
}

describe('sampleToken', () => {
  it('follows the softmax of the logits', () => {
    expectShares(shares({}), softmax([1, 3, 2, 3, -1]))
  })

  it('divides the logits by the temperature', () => {
    expectShares(shares({ temperature: 2 }), softmax([0.5, 1.5, 1, 1.5, -0.5]))
  })

  it('keeps the k likeliest', () => {
    const never = Number.NEGATIVE_INFINITY
    expectShares(shares({ topK: 3 }), softmax([never, 3, 2, 3, never]))
  })

  it('keeps the smallest set of probability p, and at least one token', () => {
    const never = Number.NEGATIVE_INFINITY
    // Tokens 1 and 3 have 0.397 each, token 2 0.146.
    expectShares(shares({ topP: 0.75 }), softmax([never, 3, never, 3, never]))
    expectShares(shares({ topP: 0.9 }), softmax([never, 3, 2, 3, never]))
    expectShares(shares({ topP: 0.0001 }), [0, 1, 0, 0, 0])
  })

  it('takes p of what top-k left', () => {
    expectShares(shares({ topK: 2, topP: 0.5 }), [0, 1, 0, 0, 0])
  })

  it('takes the first of the likeliest when greedy', () => {
    expect(sampleToken(logits, { temperature: 0 }, 0.999)).toBe(1)
    expect(sampleToken(logits, { topK: 1 }, 0.999)).toBe(1)
  })

  it('never takes a token of probability zero, even at the edge of rounding', () => {
    expect(sampleToken([0, -2000], {}, 1 - 2 ** -53)).toBe(0)
  })

  it.each([
    [{ temperature: -1 }, 'temperature must be a number from 0 up, got -1'],
    [{ temperature: Number.NaN }, 'temperature must be a number from 0 up, got NaN'],
    [{ topK: 0 }, 'top-k must be a whole number from 1 up, got 0'],
    [{ topK: 2.5 }, 'top-k must be a whole number from 1 up, got 2.5'],
    [{ topP: 0 }, 'top-p must be above 0 and at most 1, got 0'],
    [{ topP: 1.1 }, 'top-p must be above 0 and at most 1, got 1.1'],
  ])('refuses %j', (options, message) => {
    expect(() => sampleToken(logits, options, 0)).toThrow(message)
  })

  it('refuses logits that are not finite', () => {
    expect(() => sampleToken([0, Number.NaN], { temperature: 0 }, 0)).toThrow('the logit of token 1 is NaN')
  })
})
