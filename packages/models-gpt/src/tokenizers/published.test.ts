import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync, inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import p50kRanks from 'gpt-tokenizer/bpeRanks/p50k_base'
import r50kRanks from 'gpt-tokenizer/bpeRanks/r50k_base'
import { encode as encodeP50k } from 'gpt-tokenizer/encoding/p50k_base'
import { encode as encodeR50k } from 'gpt-tokenizer/encoding/r50k_base'
import { describe, expect, it } from 'vitest'
import { wellFormedText } from './arbitrary-text.ts'
import {
  bytePairTokenizerFromGpt2Files,
  bytePairTokenizerFromRanks,
  bytePairTokenizerToGpt2Files,
  trainBytePairTokenizer,
} from './index.ts'

const endOfText = '<|endoftext|>'
const specialTokens = { [endOfText]: 50256 }
const gpt2 = bytePairTokenizerFromRanks(r50kRanks, { name: 'gpt2', specialTokens })
const codex = bytePairTokenizerFromRanks(p50kRanks, { name: 'codex', specialTokens, longestWhitespaceRun: 25 })

/** Where gpt-tokenizer's `\s` and GPT-2's White_Space agree, and without half surrogate pairs, which it replaces. */
const comparable = fc
  .oneof(
    wellFormedText,
    fc
      .array(
        fc.constantFrom('Hello', ' world', "'s", "'ll", ' 123', '\n', '    ', '\t', '!?', 'é', '日本', '😀', '\u0301'),
      )
      .map((parts) => parts.join('')),
  )
  .map((text) => text.replace(/[\u0085\ufeff]/g, ' '))

describe('the published vocabulary of GPT-2', () => {
  it('gives the known ids', () => {
    expect(gpt2.vocabularySize).toBe(50257)
    expect([...gpt2.encode('Hello world')]).toEqual([15496, 995])
    expect([...gpt2.encode('Hello world', { allowedSpecialTokens: 'all' })]).toEqual([15496, 995])
    expect([...gpt2.encode(endOfText, { allowedSpecialTokens: [endOfText] })]).toEqual([50256])
    expect(gpt2.decode([15496, 995, 50256])).toBe(`Hello world${endOfText}`)
    expect(gpt2.encode(endOfText).length).toBe(7)
  })

  it('gives the ids of gpt-tokenizer for any text', () => {
    fc.assert(
      fc.property(comparable, (text) => {
        expect([...gpt2.encode(text)]).toEqual(encodeR50k(text))
        expect([...codex.encode(text)]).toEqual(encodeP50k(text))
      }),
      { numRuns: 500 },
    )
  }, 30_000)

  it('makes the vocabulary of Codex when runs of spaces are added', () => {
    const extended = gpt2.withWhitespaceRuns(25)
    expect(extended.vocabularySize).toBe(50281)
    expect(extended.vocabulary.tokens).toEqual(codex.vocabulary.tokens)
    for (let length = 1; length <= 120; length++) {
      const text = `x${' '.repeat(length)}y\n${' '.repeat(length)}`
      expect([...codex.encode(text)]).toEqual(encodeP50k(text))
      expect(extended.encode(text)).toEqual(codex.encode(text))
    }
  })

  it('comes back from the two files of GPT-2', () => {
    const files = bytePairTokenizerToGpt2Files(gpt2)
    expect(files.merges.split('\n').slice(0, 4)).toEqual(['#version: 0.2', 'Ġ t', 'Ġ a', 'h e'])
    expect(JSON.parse(files.vocabulary)).toMatchObject({ '!': 0, Ġthe: 262, [endOfText]: 50256 })
    const restored = bytePairTokenizerFromGpt2Files(files)
    expect(JSON.stringify(restored)).toBe(JSON.stringify(gpt2))
    const codexAgain = bytePairTokenizerFromGpt2Files(bytePairTokenizerToGpt2Files(codex), {
      name: 'codex',
      longestWhitespaceRun: 25,
    })
    expect(JSON.stringify(codexAgain)).toBe(JSON.stringify(codex))
  }, 30_000)

  it('refuses a list of ranks that is no byte-pair vocabulary', () => {
    const shuffled = [...r50kRanks.slice(0, 256), 'hello', ...r50kRanks.slice(256, 300)]
    expect(() => bytePairTokenizerFromRanks(shuffled)).toThrow(
      /"hello" of rank 256 is made of 5 earlier tokens, not of 2/,
    )
    expect(() => bytePairTokenizerFromRanks(['a', 'b'])).toThrow(/the byte 0 has no token/)
  })
})

describe('bytePairTokenizerFromGpt2Files', () => {
  const small = trainBytePairTokenizer('low lower 12 12 12', { vocabularySize: 261, specialTokens: [endOfText] })
  const files = bytePairTokenizerToGpt2Files(small)
  const entries = JSON.parse(files.vocabulary)
  const changed = (change: object) => JSON.stringify({ ...entries, ...change })

  it('reads what bytePairTokenizerToGpt2Files wrote, with Windows line ends too', () => {
    const restored = bytePairTokenizerFromGpt2Files(
      { ...files, merges: files.merges.replaceAll('\n', '\r\n') },
      { name: 'byte-pair' },
    )
    expect(JSON.stringify(restored)).toBe(JSON.stringify(small))
  })

  it.each([
    ['no JSON', { vocabulary: '{' }, /not valid JSON/],
    ['a list', { vocabulary: '[]' }, /must hold an object/],
    ['an id that is text', { vocabulary: changed({ '!': '0' }) }, /gives "!" the id "0"/],
    ['an id out of range', { vocabulary: changed({ '!': 1e9 }) }, /gives "!" the id 1000000000/],
    ['an id twice', { vocabulary: changed({ '!': 1 }) }, /the id 1 twice/],
    [
      'a token outside the spelling',
      { vocabulary: changed({ 日: 261 }) },
      /"日" of vocab.json is not in GPT-2's spelling/,
    ],
    [
      'the name __proto__ as a number',
      { vocabulary: `{"__proto__":-1,${files.vocabulary.slice(1)}` },
      /"__proto__" the id -1/,
    ],
    ['one token on a line', { merges: '#version: 0.2\nl o\nlow\n' }, /line 3 of merges.txt is "low"/],
    ['an unknown token', { merges: 'l 日\n' }, /line 1 of merges.txt/],
    ['a merge that is not in vocab.json', { merges: 'x y\n' }, /merge 0 makes "xy"/],
  ])('refuses %s', (_, change, message) => {
    expect(() => bytePairTokenizerFromGpt2Files({ ...files, ...change })).toThrow(
      expect.objectContaining({ code: 'TOKENIZER_INVALID_VOCABULARY', message: expect.stringMatching(message) }),
    )
  })

  it('refuses a special token that vocab.json lacks, and one that cannot be written there', () => {
    expect(() => bytePairTokenizerFromGpt2Files(files, { specialTokens: ['<|x|>'] })).toThrow(
      /no entry for the special token/,
    )
    const clash = trainBytePairTokenizer('', { vocabularySize: 257, specialTokens: ['a'] })
    expect(() => bytePairTokenizerToGpt2Files(clash)).toThrow(/cannot hold the special token "a"/)
  })
})

/** The texts in a ZIP archive, by name: the entries of its central directory, deflated but for those without bytes. */
function unzip(archive: Buffer): Map<string, string> {
  const files = new Map<string, string>()
  const end = archive.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  let entry = archive.readUInt32LE(end + 16)
  for (let count = archive.readUInt16LE(end + 10); count > 0; count--) {
    const nameLength = archive.readUInt16LE(entry + 28)
    const name = archive.toString('utf8', entry + 46, entry + 46 + nameLength)
    const local = archive.readUInt32LE(entry + 42)
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28)
    const data = archive.subarray(start, start + archive.readUInt32LE(entry + 20))
    if (data.length > 0) files.set(name, inflateRawSync(data).toString())
    entry += 46 + nameLength + archive.readUInt16LE(entry + 30) + archive.readUInt16LE(entry + 32)
  }
  return files
}

const shared = new URL('../../../../../shared/data/text/', import.meta.url)

describe.skipIf(!existsSync(shared))('real text (skipped when the shared data are absent)', () => {
  it('of the Declaration of Human Rights gives the ids of gpt-tokenizer in many languages', () => {
    const files = unzip(readFileSync(new URL('udhr2.zip', shared)))
    const languages = [
      'eng',
      'deu',
      'rus',
      'arb',
      'hin',
      'jpn',
      'cmn_hans',
      'tha',
      'ell_polytonic',
      'heb',
      'kor',
      'tam',
    ]
    for (const language of languages) {
      const text = files.get(`udhr2/${language}.txt`)!
      expect(gpt2.decode(gpt2.encode(text))).toBe(text)
      const compared = text.replace(/[\u0085\ufeff]/g, ' ')
      expect(String(gpt2.encode(compared))).toBe(String(encodeR50k(compared)))
    }
  })

  it('of Shakespeare gives the 338,025 tokens that nanoGPT reports', () => {
    const text = gunzipSync(readFileSync(new URL('tinyshakespeare.txt.gz', shared))).toString()
    // 301,966 + 36,059 tokens in nanoGPT's data/shakespeare/readme.md.
    const cut = Math.floor(text.length * 0.9)
    expect(gpt2.encode(text.slice(0, cut)).length).toBe(301_966)
    expect(gpt2.encode(text.slice(cut)).length).toBe(36_059)
  })
})
