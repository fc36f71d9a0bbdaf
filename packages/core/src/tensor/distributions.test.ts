import { describe, expect, it } from 'vitest'
import type { Tensor } from '../index.ts'
import * as core from '../index.ts'

const count = 4000

async function moments(x: Tensor): Promise<{ mean: number; variance: number; numbers: number[] }> {
  const numbers = Array.from(await x.data())
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length
  return { mean, variance, numbers }
}

const key = core.randomKey(11)
const euler = 0.5772156649015329

/** A sample, with the mean, the variance and the fourth standardised moment of its distribution. */
const samples: readonly [name: string, draw: () => Tensor, mean: number, variance: number, kurtosis: number][] = [
  ['exponential', () => core.randomExponential(key, [count], 2), 0.5, 0.25, 9],
  ['Gumbel', () => core.randomGumbel(key, [count]), euler, Math.PI ** 2 / 6, 5.4],
  ['Laplace', () => core.randomLaplace(key, [count], 1, 2), 1, 8, 6],
  ['logistic', () => core.randomLogistic(key, [count]), 0, Math.PI ** 2 / 3, 4.2],
  ['gamma above 1', () => core.randomGamma(key, 3.5, [count]), 3.5, 3.5, 3 + 6 / 3.5],
  ['gamma below 1', () => core.randomGamma(key, 0.4, [count]), 0.4, 0.4, 3 + 6 / 0.4],
  ['beta', () => core.randomBeta(key, 2, 3, [count]), 0.4, 0.04, 3],
  ['chi-squared', () => core.randomChiSquared(key, 5, [count]), 5, 10, 3 + 12 / 5],
  ['Student', () => core.randomStudent(key, 10, [count]), 0, 10 / 8, 4],
  ['truncated normal', () => core.randomTruncatedNormal(key, [count], -1, 1), 0, 0.2911, 2],
]

describe('distributions', () => {
  it.each(samples)('%s has its mean and variance', async (_, draw, mean, variance, kurtosis) => {
    const found = await moments(draw())
    // Five standard errors.
    expect(Math.abs(found.mean - mean)).toBeLessThan(5 * Math.sqrt(variance / count))
    expect(Math.abs(found.variance - variance)).toBeLessThan(5 * variance * Math.sqrt((kurtosis - 1) / count))
    expect(found.numbers.every(Number.isFinite)).toBe(true)
  })

  it('Cauchy has its quartiles at −1 and 1', async () => {
    const numbers = Array.from(await core.randomCauchy(key, [count]).data())
    const share = numbers.filter((value) => Math.abs(value) < 1).length / count
    expect(Math.abs(share - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / count))
  })

  it('draws categories in proportion to their probabilities', async () => {
    const draws = core.randomCategorical(key, core.tensor([0, Math.log(2), Math.log(5)]), -1, [count])
    const counts = Array.from(await core.binCount(draws, 3).data())
    ;[1 / 8, 2 / 8, 5 / 8].forEach((share, i) => {
      expect(Math.abs(counts[i]! / count - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / count))
    })
  })

  it('permutes and shuffles', async () => {
    const order = Array.from(await core.randomPermutation(key, 50).data())
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(order).not.toEqual([...order].sort((a, b) => a - b))
    const rows = Array.from(
      await core
        .shuffle(
          key,
          core.tensor([
            [1, 1],
            [2, 2],
            [3, 3],
          ]),
        )
        .sum(1)
        .data(),
    )
    expect([...rows].sort((a, b) => a - b)).toEqual([2, 4, 6])
  })

  it('gives Dirichlet vectors that sum to 1, and Bernoulli draws with tensors of probabilities', async () => {
    const sums = await core
      .randomDirichlet(key, core.tensor([1, 2, 3]), [100])
      .sum(-1)
      .data()
    for (const sum of sums) expect(sum).toBeCloseTo(1, 5)
    const draws = core
      .randomBernoulli(key, [count, 2], core.tensor([0, 1]))
      .cast('f32')
      .mean(0)
    expect(Array.from(await draws.data())).toEqual([0, 1])
  })

  it('relaxes a draw, and makes it hard with the gradient of the soft one', async () => {
    const logits = core.tensor([0.5, 1, -1])
    const soft = (x: Tensor) =>
      core
        .gumbelSoftmax(key, x, 0.7)
        .multiply(core.tensor([1, 2, 3]))
        .sum()
    const hard = (x: Tensor) =>
      core
        .gumbelSoftmax(key, x, 0.7, { hard: true })
        .multiply(core.tensor([1, 2, 3]))
        .sum()
    const values = Array.from(await core.gumbelSoftmax(key, logits, 0.7, { hard: true }).data())
    expect([...values].map(Math.round).sort()).toEqual([0, 0, 1])
    const [a, b] = [core.grad(soft)(logits) as Tensor, core.grad(hard)(logits) as Tensor]
    expect(await a.subtract(b).abs().max().item()).toBeLessThan(1e-6)
  })
})

describe('svd', () => {
  it.each([[[5, 3]], [[3, 5]], [[1, 1]], [[4, 4]]])('puts %j together again', async (shape) => {
    const x = core.randomNormal(key, shape).cast('f64')
    const { u, s, v } = await core.svd(x)
    const again = u.multiply(s).matmul(v.transpose())
    expect(await again.subtract(x).abs().max().item()).toBeLessThan(1e-12)
    const inner = v.transpose().matmul(v)
    expect(
      await inner
        .subtract(core.eye(inner.shape[0]!, inner.shape[0]!, 'f64'))
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-12)
    const singular = Array.from(await s.data())
    expect(singular).toEqual([...singular].sort((a, b) => b - a))
  })
})
