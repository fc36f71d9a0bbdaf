import { fixed, local, strided } from '@tessera/kernel-sparse-attention'
import { describe, expect, it } from 'vitest'
import { type GptOptions, gptConfiguration, gptConfigurationFromJSON } from './configuration.ts'

const small: GptOptions = { layers: 2, heads: 4, width: 64, blockSize: 32, vocabularySize: 65 }

describe('gptConfiguration', () => {
  it('fills in what is left out as in GPT-2', () => {
    expect(gptConfiguration(small)).toEqual({
      ...small,
      headWidth: 16,
      biases: true,
      dropout: 0,
      feedForwardRatio: 4,
      layerNormEpsilon: 1e-5,
      initialDeviation: 0.02,
      attention: [{ kind: 'dense' }],
      recompute: false,
    })
  })

  it('takes heads whose channels are not the width', () => {
    expect(gptConfiguration({ ...small, width: 50, headWidth: 16 }).headWidth).toBe(16)
  })

  it.each([
    [
      { width: 65 },
      'width 65 does not divide into 4 heads. Take a width that is a multiple of 4, for example 64 or 68',
    ],
    [{ width: 3 }, 'width 3 does not divide into 4 heads. Take a width that is a multiple of 4, for example 4,'],
    [{ layers: 0 }, 'layers must be a whole number from 1 to 10000, got 0'],
    [{ layers: 1e12 }, 'layers must be a whole number from 1 to 10000, got 1000000000000'],
    [{ heads: 2.5 }, 'heads must be a whole number from 1 to 2147483647, got 2.5'],
    [{ vocabularySize: Number.NaN }, 'vocabularySize must be a whole number from 1 to 2147483647, got null'],
    [{ headWidth: -1 }, 'headWidth must be a whole number from 1 to 2147483647, got -1'],
    [{ dropout: 1 }, 'dropout must be at least 0 and below 1, got 1'],
    [{ feedForwardRatio: 0.7 }, 'feedForwardRatio 0.7 times width 64 must be a whole number'],
    [{ layerNormEpsilon: 0 }, 'layerNormEpsilon must lie between 0 and 1, got 0'],
    [{ initialDeviation: -1 }, 'initialDeviation must lie between 0 and 10, got -1'],
    [{ attention: [] }, 'attention must be a list of patterns that the layers take in turn, got []'],
    [{ attention: [[local(2), local(3), local(4)]] }, '4 heads do not divide among 3 patterns of attention'],
    [{ attention: [strided(0)] }, 'stride is 0; it must be an integer of at least 1'],
    [{ attention: [fixed(4, 5)] }, '5 summary cells do not fit a block of 4'],
  ])('refuses %j', (changes, message) => {
    expect(() => gptConfiguration({ ...small, ...changes })).toThrow(message)
  })
})

describe('gptConfigurationFromJSON', () => {
  it('reads what JSON.stringify wrote', () => {
    const configuration = gptConfiguration({ ...small, biases: false, dropout: 0.1 })
    expect(gptConfigurationFromJSON(JSON.parse(JSON.stringify(configuration)))).toEqual(configuration)
  })

  it.each([
    [[], 'it must be an object of sizes, got []'],
    [null, 'it must be an object of sizes, got null'],
    [{}, 'layers must be a whole number'],
    [{ ...small, heads: '4' }, 'heads must be a whole number from 1 to 2147483647, got "4"'],
    [{ ...small, biases: 1 }, 'biases must be true or false, got 1'],
    [{ ...small, attention: [{ kind: 'spiral' }] }, 'attention has an unknown pattern {"kind":"spiral"}'],
    [{ ...small, recompute: 1 }, 'recompute must be true or false, got 1'],
    [{ ...small, dropout: '0' }, 'dropout must be at least 0 and below 1, got "0"'],
  ])('refuses %j', (json, message) => {
    expect(() => gptConfigurationFromJSON(json)).toThrow(message)
  })
})
