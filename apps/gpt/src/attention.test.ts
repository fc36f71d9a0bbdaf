import { attentionLayers, gptConfiguration, parseAttention } from '@tessera/models-gpt'
import { describe, expect, it } from 'vitest'
import { attentionCost, describeAttention } from './attention.ts'
import { resolveRecipe } from './recipe.ts'

describe('--attention', () => {
  it('makes the patterns of the layers', () => {
    const { model } = resolveRecipe({ attention: parseAttention('banded:8'), recompute: true })
    expect(model).toMatchObject({ attention: [{ kind: 'local', window: 8 }], recompute: true })
  })

  it('is compared with dense attention', () => {
    const configuration = gptConfiguration({
      layers: 2,
      heads: 2,
      width: 8,
      blockSize: 16,
      vocabularySize: 5,
      attention: attentionLayers(parseAttention('banded:1'), 16, 2),
    })
    expect(attentionCost(configuration, 3)).toEqual({ scores: 64, denseScores: 544, denseScoreBytes: 12288 })
    expect(describeAttention(configuration, 3)).toContain('banded 1: 64 scores a sequence, dense 544 (8.5 ×)')
  })
})
