import { describe, expect, it } from 'vitest'
import { attentionLayers, attentionScores, parseAttention } from './attention-choice.ts'

describe('attention in a word', () => {
  it('has the sizes that are given, or some near the root of the length', () => {
    expect(attentionLayers(parseAttention('fixed'), 16384, 2)).toEqual([
      [
        { kind: 'fixed', block: 128, summary: 8, subBlock: 0, part: 'both' },
        { kind: 'fixed', block: 128, summary: 8, subBlock: 1, part: 'both' },
      ],
    ])
    expect(attentionLayers(parseAttention('strided:50'), 1000, 2)).toEqual([
      { kind: 'strided', stride: 50, part: 'both' },
    ])
    expect(attentionLayers(parseAttention('strided'), 3072, 2, 96)).toMatchObject([{ stride: 96 }])
    expect(attentionLayers(parseAttention('alternating:64'), 1000, 2)).toEqual([
      { kind: 'dense' },
      { kind: 'local', window: 64 },
    ])
  })

  it.each(['spiral', 'fixed:0', 'fixed:1:2:3', 'dense:4', 'strided:x', ''])('refuses %j', (text) => {
    expect(() => parseAttention(text)).toThrow('Expected dense, banded[:WIDTH]')
  })

  it('is counted in scores', () => {
    const attention = attentionLayers(parseAttention('alternating:1'), 16, 2)
    expect(attentionScores({ layers: 3, heads: 2, attention }, 16)).toEqual({
      scores: 2 * (136 + 16 + 136),
      denseScores: 3 * 2 * 136,
    })
  })
})
