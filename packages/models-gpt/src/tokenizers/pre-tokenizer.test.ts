import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wellFormedText } from './arbitrary-text.ts'
import { forEachPreToken, gpt2Pattern } from './pre-tokenizer.ts'

function split(text: string): string[] {
  const words: string[] = []
  forEachPreToken(text, (word) => words.push(word))
  return words
}

describe('forEachPreToken', () => {
  it('cuts as GPT-2 does', () => {
    expect(split("Hello world, it's   1234!\n\n  We'll  see 's ")).toEqual([
      'Hello',
      ' world',
      ',',
      ' it',
      "'s",
      '  ',
      ' 1234',
      '!',
      '\n\n ',
      ' We',
      "'ll",
      ' ',
      ' see',
      " '",
      's',
      ' ',
    ])
  })

  it('finds the matches of the pattern in any text', () => {
    const pieces = fc.constantFrom(
      ...[
        "'",
        's',
        't',
        're',
        've',
        'm',
        'll',
        'l',
        'd',
        'r',
        'v',
        ' ',
        '  ',
        '\n',
        '\t',
        '\u00a0',
        '\u0085',
        '\ufeff',
        '\u3000',
      ],
      ...['a', 'É', '日', '𝒜', '1', '²', '٣', '𝟘', '!', '—', '😀', '\u0301', '\ud800', '\udc00', '_', '\0'],
    )
    const text = fc.oneof(
      fc.array(pieces).map((list) => list.join('')),
      wellFormedText,
    )
    fc.assert(
      fc.property(text, (sample) => {
        expect(split(sample)).toEqual(sample.match(gpt2Pattern) ?? [])
      }),
      { numRuns: 1000 },
    )
  })

  it('classifies every code point as the pattern does', () => {
    const wrong: number[] = []
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
      const character = String.fromCodePoint(codePoint)
      const isLetter = split(`a${character}`).length === 1
      const isNumber = split(`1${character}`).length === 1
      const isSpace = split(`\n${character}`).length === 1
      const expected = [/\p{L}/u, /\p{N}/u, /\p{White_Space}/u].map((pattern) => pattern.test(character))
      if (isLetter !== expected[0] || isNumber !== expected[1] || isSpace !== expected[2]) wrong.push(codePoint)
    }
    expect(wrong).toEqual([])
  }, 30_000)

  it('takes a word longer than the regular expression engine can', () => {
    expect(split(`${'日'.repeat(4_000_000)} b`).map((word) => word.length)).toEqual([4_000_000, 2])
  })
})
