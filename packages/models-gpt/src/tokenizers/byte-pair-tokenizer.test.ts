import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyText, wellFormedText } from './arbitrary-text.ts'
import { trainBytePairTokenizer } from './index.ts'
import { encodeUtf8 } from './utf8.ts'

const sample =
  'The whale swam. The whale, the white whale! They saw the whale; there it was: swimming, swimming.\n' +
  'def whale(sea):\n    if sea:\n        return sea\n    return whale(sea)\nDie Größe der Wale, la baleine était là. 鯨は海に。鯨は海を。\n'
const endOfText = '<|endoftext|>'
const tokenizer = trainBytePairTokenizer(sample, { vocabularySize: 320, specialTokens: [endOfText, '<|end|>'] })

const anyString = fc.oneof(
  anyText,
  fc.array(fc.constantFrom(...sample.split(/\b/), endOfText, '  ', '\ud83d', '\ufeff')).map((parts) => parts.join('')),
)

describe('BytePairTokenizer', () => {
  it('round-trips any string', () => {
    fc.assert(
      fc.property(anyString, (text) => {
        const ids = tokenizer.encode(text)
        expect(tokenizer.decode(ids)).toBe(text)
        expect(tokenizer.decodeBytes(ids)).toEqual(encodeUtf8(text))
      }),
      { numRuns: 300 },
    )
  })

  it('round-trips any bytes, and encodes those of a text as the text', () => {
    const someBytes = fc.oneof(
      fc.uint8Array(),
      fc
        .array(fc.constantFrom('whale', ' the', '鯨', '\ufeff', '\xff', '\xe9\xaf'))
        .map((parts) =>
          Uint8Array.from(
            parts.flatMap((part) =>
              part > '\x7f' && part < 'Ā' ? [...part].map((c) => c.charCodeAt(0)) : [...encodeUtf8(part)],
            ),
          ),
        ),
    )
    fc.assert(
      fc.property(someBytes, (bytes) => {
        expect(tokenizer.decodeBytes(tokenizer.encodeBytes(bytes))).toEqual(bytes)
      }),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(wellFormedText, (text) => {
        expect(tokenizer.encodeBytes(new TextEncoder().encode(text))).toEqual(tokenizer.encode(text))
      }),
    )
  })

  it('decodes part of a character as U+FFFD', () => {
    const [first] = tokenizer.encodeBytes(Uint8Array.of(0xe9))
    expect(tokenizer.decode([first!])).toBe('\ufffd')
  })

  it('knows special tokens only where they are allowed', () => {
    const text = `a${endOfText}b<|end|>`
    const [end, stop] = [tokenizer.vocabularySize - 2, tokenizer.vocabularySize - 1]
    const plain = tokenizer.encode(text)
    expect([...plain]).not.toContain(end)
    expect(tokenizer.encode(text, { allowedSpecialTokens: [] })).toEqual(plain)
    const all = tokenizer.encode(text, { allowedSpecialTokens: 'all' })
    expect([...all]).toEqual([...tokenizer.encode('a'), end, ...tokenizer.encode('b'), stop])
    const one = tokenizer.encode(text, { allowedSpecialTokens: [endOfText] })
    expect([...one]).toEqual([...tokenizer.encode('a'), end, ...tokenizer.encode('b<|end|>')])
    for (const ids of [plain, all, one]) expect(tokenizer.decode(ids)).toBe(text)
    expect(() => tokenizer.encode('', { allowedSpecialTokens: ['<|x|>'] })).toThrow(/"<\|x\|>" is not a special token/)
  })

  it('prefers the longest of the special tokens that fit', () => {
    const nested = trainBytePairTokenizer('', { vocabularySize: 258, specialTokens: ['[a]', '[a][b]'] })
    expect([...nested.encode('[a][b][a]', { allowedSpecialTokens: 'all' })]).toEqual([257, 256])
  })

  it('refuses ids that are not in the vocabulary', () => {
    for (const id of [tokenizer.vocabularySize, -1, 0.5, Number.NaN]) {
      expect(() => tokenizer.decode([0, id])).toThrow(
        expect.objectContaining({ code: 'TOKENIZER_INVALID_ID', message: expect.stringContaining('at position 1') }),
      )
    }
  })

  it('gives the same ids when words come from the cache, are too long for it or have left it', () => {
    const fresh = trainBytePairTokenizer(sample, { vocabularySize: 320 })
    const long = 'whale'.repeat(100)
    const text = `whale ${long} whale ${long}`
    const first = fresh.encode(text)
    expect(fresh.encode(text)).toEqual(first)
    fresh.encode(
      Array.from(
        { length: 70_000 },
        (_, index) => `${String.fromCodePoint(0x4e00 + (index >> 8))}${String.fromCodePoint(0x4e00 + (index & 255))}`,
      ).join(' '),
    )
    expect(fresh.encode(text)).toEqual(first)
  })

  it('takes words of a million letters', () => {
    const text = 'whale'.repeat(200_000)
    const ids = tokenizer.encode(text)
    expect(ids.length).toBeLessThan(0.7 * text.length)
    expect(tokenizer.decode(ids)).toBe(text)
  }, 30_000)
})

describe('BPE-dropout', () => {
  const encode = (probability: number, seed: number) => tokenizer.encode(sample, { dropout: { probability, seed } })

  it('changes nothing at 0 and gives single bytes at 1', () => {
    expect(encode(0, 1)).toEqual(tokenizer.encode(sample))
    expect(encode(1, 1).length).toBe(encodeUtf8(sample).length)
    expect(tokenizer.decode(encode(1, 1))).toBe(sample)
  })

  it('depends on the seed alone, keeps the text, and lengthens with the probability', () => {
    expect(encode(0.3, 5)).toEqual(encode(0.3, 5))
    expect(encode(0.3, 5)).not.toEqual(encode(0.3, 6))
    const lengths = [0, 0.2, 0.5, 0.8, 1].map((probability) => encode(probability, 5).length)
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b))
    expect(new Set(lengths).size).toBe(5)
    for (let seed = 0; seed < 20; seed++) expect(tokenizer.decode(encode(0.4, seed))).toBe(sample)
  })

  it('works on bytes and refuses what is no probability or no seed', () => {
    const bytes = Uint8Array.of(0xff, 0xfe, 0x61, 0x62)
    expect(tokenizer.decodeBytes(tokenizer.encodeBytes(bytes, { dropout: { probability: 0.5, seed: 1 } }))).toEqual(
      bytes,
    )
    for (const probability of [-0.1, 1.1, Number.NaN]) {
      expect(() => encode(probability, 1)).toThrow(/dropout probability must be from 0 to 1/)
    }
    for (const seed of [-1, 0.5]) expect(() => encode(0.5, seed)).toThrow(/dropout seed must be an integer/)
  })
})

describe('withWhitespaceRuns', () => {
  const code = tokenizer.withWhitespaceRuns(25)

  it('gives every run of up to 25 spaces one token, after the old ids', () => {
    expect(code.vocabularySize).toBeGreaterThan(tokenizer.vocabularySize)
    for (let length = 1; length <= 25; length++) expect(code.encode(' '.repeat(length)).length).toBe(1)
    expect(code.encode(' '.repeat(26)).length).toBe(2)
    expect(code.encode('the whale')).toEqual(tokenizer.encode('the whale'))
    expect(code.encode(sample).length).toBeLessThanOrEqual(tokenizer.encode(sample).length)
  })

  it('round-trips any string', () => {
    fc.assert(
      fc.property(anyString, (text) => {
        expect(code.decode(code.encode(text))).toBe(text)
      }),
    )
  })

  it('refuses lengths that make no sense', () => {
    for (const longest of [1, 2.5, 1000])
      expect(() => tokenizer.withWhitespaceRuns(longest)).toThrow(/longest whitespace run/)
  })
})
