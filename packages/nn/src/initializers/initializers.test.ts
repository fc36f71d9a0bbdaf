import { randomKey } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import {
  constantInitializer,
  type Initializer,
  kaimingNormal,
  kaimingUniform,
  normal,
  onesInitializer,
  orthogonal,
  truncatedNormal,
  uniform,
  xavierNormal,
  xavierUniform,
  zerosInitializer,
} from './initializers.ts'

const shape = [40, 100]
const count = 4000

async function moments(initializer: Initializer) {
  const values = [...(await initializer(randomKey(5), shape).data())]
  const mean = values.reduce((total, value) => total + value, 0) / count
  const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / count
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return { mean, deviation: Math.sqrt(variance), largest, values }
}

const uniformDeviation = (bound: number) => bound / Math.sqrt(3)

describe('distributions', () => {
  const cases: Record<string, { initializer: Initializer; deviation: number; bound?: number; mean?: number }> = {
    'normal(0.02)': { initializer: normal(0.02), deviation: 0.02 },
    'normal(2, 5)': { initializer: normal(2, 5), deviation: 2, mean: 5 },
    'uniform(−0.3, 0.3)': { initializer: uniform(-0.3, 0.3), deviation: uniformDeviation(0.3), bound: 0.3 },
    // The deviation of a normal distribution cut at two deviations: √(1 − 4 φ(2) / erf(√2)).
    'truncatedNormal(0.5)': { initializer: truncatedNormal(0.5), deviation: 0.5 * 0.879626, bound: 1 },
    xavierUniform: {
      initializer: xavierUniform(),
      deviation: Math.sqrt(2 / 140),
      bound: Math.sqrt(6 / 140),
    },
    xavierNormal: { initializer: xavierNormal({ gain: 2 }), deviation: 2 * Math.sqrt(2 / 140) },
    kaimingUniform: { initializer: kaimingUniform(), deviation: Math.sqrt(2 / 40), bound: Math.sqrt(6 / 40) },
    'kaimingNormal with fans': {
      initializer: kaimingNormal({ gain: 1, fans: { inputs: 25, outputs: 1 } }),
      deviation: 0.2,
    },
  }
  for (const [name, { initializer, deviation, bound, mean = 0 }] of Object.entries(cases)) {
    test(name, async () => {
      const found = await moments(initializer)
      expect(Math.abs(found.mean - mean)).toBeLessThan((5 * deviation) / Math.sqrt(count))
      expect(Math.abs(found.deviation / deviation - 1)).toBeLessThan(5 / Math.sqrt(2 * count))
      if (bound !== undefined) {
        expect(found.largest).toBeLessThanOrEqual(Math.fround(bound) * (1 + 1e-6))
        expect(found.largest).toBeGreaterThan(0.98 * bound)
      }
    })
  }

  test('a truncated normal has the quantiles of a normal cut at two deviations', async () => {
    const { values } = await moments(truncatedNormal(1))
    const sorted = [...values].sort((a, b) => a - b)
    // Φ⁻¹(Φ(−2) + p · (1 − 2Φ(−2))) from tables.
    for (const [part, quantile] of [
      [0.5, 0],
      [0.75, 0.6346],
      [0.9, 1.1834],
      [0.05, -1.4722],
    ] as const) {
      expect(Math.abs(sorted[Math.floor(part * count)]! - quantile)).toBeLessThan(0.1)
    }
  })
})

test('constants', async () => {
  const key = randomKey(0)
  expect([...(await zerosInitializer(key, [2]).data())]).toEqual([0, 0])
  expect([...(await onesInitializer(key, [2]).data())]).toEqual([1, 1])
  expect([...(await constantInitializer(-0.5)(key, [1], 'f64').data())]).toEqual([-0.5])
})

test('formats are as asked for', () => {
  for (const initializer of [normal(1), uniform(0, 1), truncatedNormal(1), xavierNormal()]) {
    expect(initializer(randomKey(0), [2, 2], 'bf16').dtype).toBe('bf16')
  }
})

test('fans that a shape does not tell must be given', () => {
  expect(() => xavierNormal()(randomKey(0), [3])).toThrow(/shape \[3\] is not known.*fans/)
  expect(kaimingNormal({ fans: { inputs: 9, outputs: 9 } })(randomKey(0), [3, 3, 3]).shape).toEqual([3, 3, 3])
})

test('filters tell their fans: outputs first, then inputs of a group, then the window', async () => {
  const shape = [64, 16, 3, 3]
  const explicit = kaimingNormal({ fans: { inputs: 16 * 9, outputs: 64 * 9 } })(randomKey(0), shape)
  expect(await kaimingNormal()(randomKey(0), shape).data()).toEqual(await explicit.data())
})

test('orthogonal matrices have orthogonal rows or columns of the length of the gain, also those of filters', async () => {
  for (const shape of [
    [24, 24],
    [5, 12],
    [12, 5],
    [1, 3],
    [6, 2, 3, 3],
  ]) {
    const matrix = orthogonal(2)(randomKey(shape[0]!), shape).reshape([shape[0]!, -1])
    const [rows, columns] = matrix.shape as [number, number]
    const gram = rows > columns ? matrix.transpose().matmul(matrix) : matrix.matmul(matrix.transpose())
    const side = Math.min(rows, columns)
    for (const [i, value] of (await gram.data()).entries()) {
      expect(Math.abs(value - (i % (side + 1) === 0 ? 4 : 0))).toBeLessThan(2e-5)
    }
  }
  expect(() => orthogonal()(randomKey(0), [3])).toThrow(/at least two axes/)
})
