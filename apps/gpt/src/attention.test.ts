import { gptConfiguration } from '@tessera/models-gpt'
import { describe, expect, it } from 'vitest'
import { attentionChoice, attentionCost, attentionLayers, describeAttention } from './attention.ts'
import { resolveRecipe } from './recipe.ts'

describe('--attention', () => {
  it('reads kinds and sizes, and takes sizes near the root of the length otherwise', () => {
    expect(attentionLayers(attentionChoice('fixed'), 16384, 2)).toEqual([
      [
        { kind: 'fixed', block: 128, summary: 8, subBlock: 0, part: 'both' },
        { kind: 'fixed', block: 128, summary: 8, subBlock: 1, part: 'both' },
      ],
    ])
    expect(attentionLayers(attentionChoice('strided:50'), 1000, 2)).toEqual([
      { kind: 'strided', stride: 50, part: 'both' },
    ])
    expect(attentionLayers(attentionChoice('alternating:64'), 1000, 2)).toEqual([
      { kind: 'dense' },
      { kind: 'local', window: 64 },
    ])
    const { model } = resolveRecipe({ attention: attentionChoice('banded:8'), recompute: true })
    expect(model).toMatchObject({ attention: [{ kind: 'local', window: 8 }], recompute: true })
  })

  it.each(['spiral', 'fixed:0', 'fixed:1:2:3', 'dense:4', 'strided:x', ''])('refuses %j', (text) => {
    expect(() => attentionChoice(text)).toThrow('Expected dense, banded[:WIDTH]')
  })

  it('is compared with dense attention', () => {
    const configuration = gptConfiguration({
      layers: 2,
      heads: 2,
      width: 8,
      blockSize: 16,
      vocabularySize: 5,
      attention: attentionLayers(attentionChoice('banded:1'), 16, 2),
    })
    expect(attentionCost(configuration, 3)).toEqual({ scores: 64, denseScores: 544, denseScoreBytes: 12288 })
    expect(describeAttention(configuration, 3)).toContain('banded 1: 64 scores a sequence, dense 544 (8.5 ×)')
  })
})
