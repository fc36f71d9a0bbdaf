import { describe, expect, it } from 'vitest'
import { CharacterTokenizer, tokenizerFromJSON, trainBytePairTokenizer } from './index.ts'

const text = 'the whale, the white whale    swims'
const bytePair = trainBytePairTokenizer(text, {
  vocabularySize: 270,
  minimumFrequency: 1,
  specialTokens: ['<|endoftext|>'],
  name: 'whale',
})
const saved = (): Record<string, unknown> => JSON.parse(JSON.stringify(bytePair))

describe('tokenizerFromJSON', () => {
  it('restores a byte-pair tokenizer', () => {
    for (const original of [bytePair, bytePair.withWhitespaceRuns(8)]) {
      const restored = tokenizerFromJSON(JSON.parse(JSON.stringify(original)))
      expect(restored.name).toBe('whale')
      expect(restored.vocabularySize).toBe(original.vocabularySize)
      expect(restored.encode(`${text}<|endoftext|>`)).toEqual(original.encode(`${text}<|endoftext|>`))
      expect(JSON.stringify(restored)).toBe(JSON.stringify(original))
    }
  })

  it.each([null, undefined, 3, [], 'text'])('refuses %o', (value) => {
    expect(() => tokenizerFromJSON(value)).toThrow(/it must be an object/)
  })

  const tokens = saved().tokens as (string | null)[]
  const merges = saved().merges as [number, number][]
  const changes: [what: string, change: Record<string, unknown>, message: RegExp][] = [
    ['another format', { format: 'x' }, /format is "x"/],
    ['a later version', { version: 2 }, /version is 2; this package reads 1/],
    ['no name', { name: 3 }, /name must be a string/],
    ['another kind', { kind: 'word' }, /neither "character" nor "byte-pair"/],
    ['a kind that objects inherit', { kind: '__proto__' }, /neither/],
    ['tokens that are no list', { tokens: {} }, /tokens must be a list/],
    ['too many tokens', { tokens: new Array(2 ** 20 + 1).fill('a') }, /more than 1048576/],
    ['a token that is a number', { tokens: [1, ...tokens.slice(1)] }, /token 0 is 1/],
    ['a token outside the spelling', { tokens: ['日', ...tokens.slice(1)] }, /token 0 is "日"/],
    ['an empty token', { tokens: ['', ...tokens.slice(1)] }, /token 0 is empty/],
    ['a token twice', { tokens: [tokens[1], ...tokens.slice(1)] }, /tokens 0 and 1 are the same/],
    ['a missing byte', { tokens: ['zzz', ...tokens.slice(1)] }, /the byte 33 has no token/],
    ['a hole', { tokens: [null, ...tokens.slice(1)] }, /none has the id 0/],
    ['merges that are no list', { merges: 'a b' }, /merges must be a list/],
    ['a merge of three', { merges: [[1, 2, 3]] }, /merge 0 is \[1,2,3\]/],
    ['a merge of fractions', { merges: [[1, 2.5]] }, /merge 0 is \[1,2.5\]/],
    ['a merge of unknown ids', { merges: [[1, 9999]] }, /merge 0 joins the tokens 1 and 9999/],
    ['a merge of negative ids', { merges: [[-1, 1]] }, /merge 0 joins the tokens -1 and 1/],
    [
      'a merge before its parts',
      { merges: [...merges].reverse() },
      /not both single bytes or made by an earlier merge/,
    ],
    ['a merge into no token', { merges: [[0, 0]] }, /merge 0 makes "!!", which is not a token/],
    ['a whitespace run without tokens', { longestWhitespaceRun: 200 }, /a run of \d+ spaces has no token/],
    ['a whitespace run that is too long', { longestWhitespaceRun: 1e9 }, /from 2 to 256/],
    ['a whitespace run that is no number', { longestWhitespaceRun: '2' }, /must be a number/],
    ['a special token on a used id', { specialTokens: [['<|a|>', 0]] }, /no free id/],
    [
      'two special tokens on one id',
      {
        specialTokens: [
          ['<|a|>', 269],
          ['<|b|>', 269],
        ],
      },
      /no free id/,
    ],
    ['a special token far away', { specialTokens: [['<|a|>', 1e9]] }, /none has the id 269/],
    ['a special token without text', { specialTokens: [['', 269]] }, /has no text/],
    ['a special token without an id', { specialTokens: [['<|a|>']] }, /special token 0/],
  ]
  it.each(changes)('refuses %s', (_, change, message) => {
    expect(bytePair.vocabularySize).toBe(270)
    expect(() => tokenizerFromJSON({ ...saved(), ...change })).toThrow(
      expect.objectContaining({ name: 'TokenizerError', message: expect.stringMatching(message) }),
    )
  })

  it.each([
    [{ codePoints: 'abc' }, /list of ascending/],
    [{ codePoints: [98, 97] }, /list of ascending/],
    [{ codePoints: [97, 97] }, /list of ascending/],
    [{ codePoints: [97.5] }, /list of ascending/],
    [{ codePoints: [-1] }, /no Unicode code point/],
    [{ codePoints: [] }, /vocabulary is empty/],
    [{ unknown: 'z' }, /unknown must be a character of the vocabulary/],
    [{ unknown: 'ab' }, /one character/],
    [{ unknown: 3 }, /unknown must be a character/],
  ])('refuses a character tokenizer with %o', (change, message) => {
    const json = JSON.parse(JSON.stringify(CharacterTokenizer.fromText('abc')))
    expect(() => tokenizerFromJSON({ ...json, ...change })).toThrow(message)
  })
})
