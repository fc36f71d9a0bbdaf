import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byteOrder } from './byte-unicode.ts'
import { trainBytePairTokenizer } from './index.ts'
import { gpt2Pattern } from './pre-tokenizer.ts'

/** Training by the definition: count every pair anew before each merge. */
function mergesByDefinition(texts: readonly string[], wanted: number, minimumFrequency: number): [number, number][] {
  const idOfByte = new Map(Array.from(byteOrder, (byte, id) => [byte, id]))
  const words = texts.flatMap((text) =>
    (text.match(gpt2Pattern) ?? []).map((word) =>
      [...new TextEncoder().encode(word)].map((byte) => idOfByte.get(byte)!),
    ),
  )
  const spelling = Array.from(byteOrder, (byte) => String.fromCharCode(byte))
  const merges: [number, number][] = []
  while (spelling.length < 256 + wanted) {
    const counts = new Map<string, number>()
    for (const word of words) {
      for (let index = 0; index + 1 < word.length; index++) {
        const key = `${word[index]} ${word[index + 1]}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
    }
    const ranked = [...counts]
      .map(([key, count]) => ({ pair: key.split(' ').map(Number) as [number, number], count }))
      .sort((a, b) => b.count - a.count || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1])
    const best = ranked[0]
    if (!best || best.count < minimumFrequency) break
    const [left, right] = best.pair
    const joined = spelling[left]! + spelling[right]!
    if (!spelling.includes(joined)) spelling.push(joined)
    if (!merges.some((merge) => merge[0] === left && merge[1] === right)) merges.push(best.pair)
    for (const word of words) {
      for (let index = 0; index + 1 < word.length; index++) {
        if (word[index] === left && word[index + 1] === right) word.splice(index, 2, spelling.indexOf(joined))
      }
    }
  }
  return merges
}

describe('trainBytePairTokenizer', () => {
  it('learns what the definition says, on any texts', () => {
    const word = fc
      .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 12 })
      .map((letters) => letters.join(''))
    const text = fc.array(word, { maxLength: 12 }).map((words) => words.join(' '))
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 4 }),
        fc.nat(30),
        fc.integer({ min: 1, max: 4 }),
        (texts, wanted, minimumFrequency) => {
          const tokenizer = trainBytePairTokenizer(texts, { vocabularySize: 256 + wanted, minimumFrequency })
          expect(tokenizer.vocabulary.merges).toEqual(mergesByDefinition(texts, wanted, minimumFrequency))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('learns what the definition says when two pairs spell the same token', () => {
    const texts = ['abcabcabcabdbcdbcdbcdabcdaabbccabcdabcd bcabca cabcab']
    const tokenizer = trainBytePairTokenizer(texts, { vocabularySize: 290, minimumFrequency: 1 })
    expect(tokenizer.vocabulary.merges).toEqual(mergesByDefinition(texts, 34, 1))
  })

  it('joins the most frequent pair first and breaks ties by the lower ids', () => {
    const tokenizer = trainBytePairTokenizer('low lower lowest', { vocabularySize: 258 })
    expect(tokenizer.decode([256])).toBe('lo')
    expect(tokenizer.decode([257])).toBe('low')
    expect([...tokenizer.encode('slow')].at(-1)).toBe(257)
  })

  it('puts special tokens last and stops where pairs become rare', () => {
    const tokenizer = trainBytePairTokenizer('abab', { vocabularySize: 1000, specialTokens: ['<|a|>', '<|b|>'] })
    expect(tokenizer.vocabularySize).toBe(259)
    expect(tokenizer.decode([256, 257, 258])).toBe('ab<|a|><|b|>')
    expect(trainBytePairTokenizer('abab', { vocabularySize: 1000, minimumFrequency: 3 }).vocabularySize).toBe(256)
    expect(trainBytePairTokenizer('', { vocabularySize: 1000 }).vocabularySize).toBe(256)
  })

  it('reports its progress', () => {
    const seen: { learned: number; wanted: number }[] = []
    trainBytePairTokenizer('ababab', {
      vocabularySize: 300,
      minimumFrequency: 1,
      onProgress: (progress) => seen.push(progress),
    })
    expect(seen).toEqual([
      { learned: 1, wanted: 44 },
      { learned: 2, wanted: 44 },
      { learned: 3, wanted: 44 },
    ])
  })

  it('takes one word of half a million letters without starting over at each merge', () => {
    const letters = Array.from({ length: 500_000 }, (_, index) => String.fromCharCode(97 + ((index * index) % 23)))
    const text = letters.join('')
    const tokenizer = trainBytePairTokenizer(text, { vocabularySize: 600 })
    expect(tokenizer.vocabularySize).toBeGreaterThan(270)
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  }, 30_000)

  it.each([
    [{ vocabularySize: 255 }, /an integer from 256/],
    [{ vocabularySize: 256, specialTokens: ['<|a|>'] }, /an integer from 257/],
    [{ vocabularySize: 300.5 }, /300.5/],
    [{ vocabularySize: 2 ** 21 }, /to 1048576/],
    [{ vocabularySize: 300, minimumFrequency: 0 }, /minimumFrequency must be at least 1/],
    [{ vocabularySize: 300, specialTokens: ['a', 'a'] }, /must be distinct/],
    [{ vocabularySize: 300, specialTokens: [''] }, /not empty/],
  ])('refuses %o', (options, message) => {
    expect(() => trainBytePairTokenizer('abc', options)).toThrow(message)
  })
})
