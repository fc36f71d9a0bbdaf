import { createRuntime, type Runtime, randomKey, tensor } from '@tessera/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateTokens } from '../generation/generate.ts'
import { gptConfiguration } from './configuration.ts'
import { Gpt } from './model.ts'
import { quantizeGpt, type WeightFormat } from './quantize.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await createRuntime()
})
afterAll(() => runtime.close())

const configuration = gptConfiguration({
  layers: 1,
  heads: 2,
  width: 32,
  blockSize: 16,
  vocabularySize: 20,
  initialDeviation: 0.08,
})
const tokens = Array.from({ length: 12 }, (_, i) => (i * 7) % 20)

describe('quantizeGpt', () => {
  const distributions = async (model: Gpt) => {
    const logits = model.forward(tensor(Int32Array.from(tokens), [1, tokens.length])).logSoftmax()
    return Float64Array.from(await logits.data())
  }

  it.each([
    ['f16', 1e-6],
    ['bf16', 1e-4],
    ['int8', 0.002],
    ['int4', 0.05],
  ] as const)('%s: the distribution of the next token stays near', async (format, limit) => {
    const model = new Gpt(configuration, randomKey(3))
    const [wanted, actual] = [await distributions(model), await distributions(quantizeGpt(model, format))]
    // Kullback–Leibler divergence from the model's own distribution, in nats, mean over positions.
    const divergence = wanted.reduce((sum, value, i) => sum + Math.exp(value) * (value - actual[i]!), 0) / tokens.length
    expect(divergence).toBeLessThan(limit)
    expect(divergence).toBeGreaterThan(0)
  })

  it('generates with rounded weights, as from a rounded model', async () => {
    const model = new Gpt(configuration, randomKey(3))
    const write = (weights: WeightFormat) =>
      Array.fromAsync(generateTokens(model, [1, 2, 3], { tokens: 3, temperature: 0, weights }))
    const text = await write('int8')
    expect(text).toHaveLength(3)
    expect(await write('int4')).toHaveLength(3)
    expect(await write('f16')).toEqual(await write('f32'))
    const small = quantizeGpt(model, 'int8')
    expect(await Array.fromAsync(generateTokens(small, [1, 2, 3], { tokens: 3, temperature: 0 }))).toEqual(text)
  })
})
