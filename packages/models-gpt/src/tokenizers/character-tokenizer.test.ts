import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wellFormedText } from './arbitrary-text.ts'
import { CharacterTokenizer, tokenizerFromJSON } from './index.ts'

describe('CharacterTokenizer', () => {
  it('gives ids in the order of the code points, not of UTF-16 units', () => {
    const tokenizer = CharacterTokenizer.fromText('b😀a\uffee b')
    expect(tokenizer.vocabularySize).toBe(5)
    expect([...tokenizer.encode(' ab\uffee😀')]).toEqual([0, 1, 2, 3, 4])
    expect(tokenizer.decode([4, 1])).toBe('😀a')
  })

  it('round-trips any text with its own vocabulary, also through JSON', () => {
    const text = fc.oneof(
      wellFormedText.filter((sample) => sample !== ''),
      fc.constant('a\udc00\ud800b'),
    )
    fc.assert(
      fc.property(text, (training) => {
        const tokenizer = CharacterTokenizer.fromText(training)
        const ids = tokenizer.encode(training)
        expect(ids.length).toBe([...training].length)
        expect(tokenizer.decode(ids)).toBe(training)
        const restored = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)))
        expect(restored.encode(training)).toEqual(ids)
        expect(JSON.stringify(restored)).toBe(JSON.stringify(tokenizer))
      }),
    )
  })

  it('names an unknown character, its code point and its place', () => {
    const tokenizer = CharacterTokenizer.fromText('abc')
    expect(() => tokenizer.encode('ab😀c')).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_UNKNOWN_CHARACTER',
        message: expect.stringContaining('"😀" (U+1F600) at index 2 is not among the 3 characters'),
      }),
    )
    expect(() => tokenizer.encode('é')).toThrow('U+00E9')
  })

  it('encodes unknown characters as the given one', () => {
    const tokenizer = CharacterTokenizer.fromText('abc', { unknown: '?' })
    expect(tokenizer.vocabularySize).toBe(4)
    expect(tokenizer.decode(tokenizer.encode('aéb😀'))).toBe('a?b?')
    const restored = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)))
    expect(restored.decode(restored.encode('é'))).toBe('?')
  })

  it('refuses ids that are not in the vocabulary', () => {
    const tokenizer = CharacterTokenizer.fromText('abc')
    for (const id of [3, -1, 0.5, Number.NaN]) {
      expect(() => tokenizer.decode([0, id])).toThrow(/at position 1: ids are integers from 0 to 2/)
    }
  })

  it('refuses an empty vocabulary and what is no single character', () => {
    expect(() => CharacterTokenizer.fromText('')).toThrow(/vocabulary is empty/)
    expect(() => CharacterTokenizer.fromText('a', { unknown: 'ab' })).toThrow(/one character, not "ab"/)
    expect(() => new CharacterTokenizer([97, 0x110000])).toThrow(/no Unicode code point/)
    expect(() => new CharacterTokenizer([Number.NaN])).toThrow(/no Unicode code point/)
  })
})
