import { dense } from '@tessera/kernel-sparse-attention'
import { describe, expect, it } from 'vitest'
import { gptPreset } from '../gpt/presets.ts'
import { huggingFaceConfig, parseHuggingFaceConfig } from './config.ts'

describe('parseHuggingFaceConfig', () => {
  it('has the defaults of GPT2Config', () => {
    expect(parseHuggingFaceConfig('{}')).toEqual({ ...gptPreset('gpt2'), dropout: 0.1 })
  })

  it('reads what huggingFaceConfig wrote', () => {
    for (const name of ['gpt2', 'gpt2-xl', 'gpt3-175b'] as const) {
      const configuration = gptPreset(name, {
        attention: [dense()],
        dropout: 0.2,
        feedForwardRatio: 2,
        initialDeviation: 0.01,
      })
      expect(parseHuggingFaceConfig(JSON.stringify(huggingFaceConfig(configuration)))).toEqual(configuration)
    }
  })

  it('refuses to write sparse attention', () => {
    expect(() => huggingFaceConfig(gptPreset('gpt3-125m'))).toThrow('the model has layers of sparse attention')
  })

  it('takes null for a default, and n_ctx where n_positions is missing', () => {
    expect(parseHuggingFaceConfig('{"n_inner": null, "n_ctx": 256}')).toMatchObject({
      feedForwardRatio: 4,
      blockSize: 256,
    })
  })

  it.each([
    ['', 'it is not JSON'],
    ['[1]', 'it must be an object, got [1]'],
    ['{"model_type": "llama"}', 'model_type is "llama"; only "gpt2" can be read'],
    ['{"activation_function": "relu"}', 'activation_function is "relu"; only GPT-2\'s own can be read'],
    [
      '{"scale_attn_by_inverse_layer_idx": true}',
      'scale_attn_by_inverse_layer_idx is true, which changes what the model computes',
    ],
    ['{"tie_word_embeddings": false}', 'tie_word_embeddings is false'],
    ['{"n_layer": "12"}', 'n_layer must be a number, got "12"'],
    ['{"n_embd": 769}', 'width 769 does not divide into 12 heads'],
    ['{"n_embd": 0}', 'must be a whole number'],
    ['{"resid_pdrop": 1.5}', 'dropout must be at least 0 and below 1, got 1.5'],
  ])('refuses %s', (text, message) => {
    expect(() => parseHuggingFaceConfig(text)).toThrow(message)
  })
})
