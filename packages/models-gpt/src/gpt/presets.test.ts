import { describe, expect, it } from 'vitest'
import { countParameters } from './parameters.ts'
import { type GptPreset, gptPreset, gptPresetNames } from './presets.ts'

describe('gptPreset', () => {
  it.each([
    // Numbers of the released models (numel of transformers' GPT2LMHeadModel with tied embeddings).
    ['gpt2', 124_439_808],
    ['gpt2-medium', 354_823_168],
    ['gpt2-large', 774_030_080],
    ['gpt2-xl', 1_557_611_200],
    // (65 + 64) · 128 embeddings, four blocks of 12 · 128² + 2 · 128, a final norm: nanoGPT prints 0.80M.
    ['nanogpt-cpu', 804_096],
  ] as const)('%s has %i parameters', (name, count) => {
    expect(countParameters(gptPreset(name))).toBe(count)
  })

  it.each([
    // Brown et al. 2020, table 2.1, as rounded there.
    ['gpt3-125m', '125M'],
    ['gpt3-350m', '356M'],
    ['gpt3-760m', '760M'],
    ['gpt3-1.3b', '1316M'],
    ['gpt3-2.7b', '2652M'],
    ['gpt3-6.7b', '6658M'],
    ['gpt3-13b', '12853M'],
    ['gpt3-175b', '174604M'],
    // The rows of the table that contradict themselves.
    ['gpt3-1.3b-as-printed', '1517M'],
  ] as const)('%s has %s parameters', (name, count) => {
    expect(`${Math.round(countParameters(gptPreset(name)) / 1e6)}M`).toBe(count)
  })

  it("alternate dense and banded layers in GPT-3's sizes", () => {
    expect(gptPreset('gpt3-125m').attention).toEqual([{ kind: 'dense' }, { kind: 'local', window: 256 }])
    expect(gptPreset('gpt2').attention).toEqual([{ kind: 'dense' }])
  })

  it('knows every size that it lists', () => {
    for (const name of gptPresetNames) expect(countParameters(gptPreset(name))).toBeGreaterThan(0)
  })

  it('takes changes, and divides other widths into heads anew', () => {
    expect(gptPreset('gpt2', { vocabularySize: 50304 })).toMatchObject({ layers: 12, vocabularySize: 50304 })
    expect(gptPreset('gpt3-760m', { heads: 8 }).headWidth).toBe(192)
    expect(gptPreset('gpt3-760m').headWidth).toBe(96)
  })

  it('refuses an unknown name, also that of a property of every object', () => {
    expect(() => gptPreset('gpt5' as GptPreset)).toThrow("gptPreset: 'gpt5' is not known. Known: gpt2, gpt2-medium")
    expect(() => gptPreset('constructor' as GptPreset)).toThrow("'constructor' is not known")
  })
})
