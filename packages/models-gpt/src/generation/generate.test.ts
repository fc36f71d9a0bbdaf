import { full, randomKey } from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { gptConfiguration } from '../gpt/configuration.ts'
import { Gpt } from '../gpt/model.ts'
import { CharacterTokenizer } from '../tokenizers/index.ts'
import { type GeneratedPiece, type GenerateOptions, generate, generateText, generateTokens } from './generate.ts'

const tokenizer = CharacterTokenizer.fromText('abcdefgh ')
const vocabularySize = tokenizer.vocabularySize
const configuration = gptConfiguration({ layers: 1, heads: 2, width: 8, blockSize: 8, vocabularySize })
const model = new Gpt(configuration, randomKey(5))

async function collect(options: GenerateOptions, prompt = 'abc'): Promise<GeneratedPiece[]> {
  return Array.fromAsync(generate(model, tokenizer, prompt, options))
}

describe('generate', () => {
  it('hands on one piece a token, beyond the block, and says when it ends', async () => {
    const pieces = await collect({ tokens: 12 })
    expect(pieces).toHaveLength(12)
    expect(pieces.map(({ text }) => text).join('')).toBe(tokenizer.decode(pieces.map(({ token }) => token)))
    expect(pieces.map(({ finished }) => finished)).toEqual([...new Array(11).fill(undefined), 'length'])
  })

  it('gives the same text for the same seed, another for another', async () => {
    const texts = await Promise.all(
      [4, 4, 5].map((seed) => generateText(model, tokenizer, 'abc', { tokens: 12, seed })),
    )
    expect(texts[0]).toEqual(texts[1])
    expect(texts[0]).not.toEqual(texts[2])
  })

  it('makes each sample the same whatever the number of samples', async () => {
    const [first, second] = await generateText(model, tokenizer, 'abc', { tokens: 6, samples: 3 })
    expect(first).not.toBe(second)
    expect(await generateText(model, tokenizer, 'abc', { tokens: 6, samples: 2 })).toEqual([first, second])
    expect(await generateText(model, tokenizer, 'abc', { tokens: 6 })).toEqual([first])
  })

  it('always takes the likeliest token at temperature 0', async () => {
    const greedy = { tokens: 6, temperature: 0 }
    const [one] = await generateText(model, tokenizer, 'abc', { ...greedy, seed: 1 })
    expect(await generateText(model, tokenizer, 'abc', { ...greedy, seed: 2 })).toEqual([one])
    expect(await generateText(model, tokenizer, 'abc', { tokens: 6, topK: 1, seed: 3 })).toEqual([one])
  })

  it('ends each sample at a stop string or the end token by itself', async () => {
    const free = await generateText(model, tokenizer, 'abc', { tokens: 12, samples: 2 })
    const stop = free[0]!.slice(3, 5)
    const pieces = await collect({ tokens: 12, samples: 2, stop: [stop] })
    const texts = ['', '']
    for (const { sample, text } of pieces) texts[sample] += text
    expect(texts).toEqual(free.map((text) => text.split(stop)[0]))
    expect(pieces.find(({ sample, finished }) => sample === 0 && finished)?.finished).toBe('stop')

    const endToken = tokenizer.encode(free[0]![2]!)[0]!
    const ended = await collect({ tokens: 12, endToken })
    expect(ended.at(-1)?.finished).toBe('end')
    expect(ended.map(({ text }) => text).join('')).toBe(free[0]!.slice(0, free[0]!.indexOf(free[0]![2]!)))
  })

  it('never takes a token that only pads the vocabulary of the model', async () => {
    const padded = new Gpt({ ...configuration, vocabularySize: 500 }, randomKey(5))
    const tokens = await Array.fromAsync(generate(padded, tokenizer, 'abc', { tokens: 8 }))
    expect(tokens.every(({ token }) => token < vocabularySize)).toBe(true)
  })

  it('stops computing when the reader stops', async () => {
    let seen = 0
    for await (const _ of generateTokens(model, [1], { tokens: 1000 })) if (++seen === 2) break
    expect(seen).toBe(2)
  })

  it.each([
    [{ tokens: 0 }, 'tokens must be a whole number from 1 up, got 0'],
    [{ tokens: 1, samples: 0 }, 'samples must be a whole number from 1 up, got 0'],
    [{ tokens: 1, seed: -1 }, 'the seed must be an integer from 0 to 2^53 − 1, got -1'],
    [{ tokens: 1, temperature: -1 }, 'temperature must be a number from 0 up, got -1'],
    [{ tokens: 1, stop: [''] }, 'a stop string is empty'],
  ])('refuses %j', async (options, message) => {
    await expect(collect(options)).rejects.toThrow(message)
  })

  it('refuses an empty prompt, a tokenizer of more tokens than the model has, and damaged weights', async () => {
    await expect(collect({ tokens: 1 }, '')).rejects.toThrow('the prompt is empty')
    const other = CharacterTokenizer.fromText('abcdefghijkl')
    await expect(generateText(model, other, 'a', { tokens: 1 })).rejects.toThrow(
      'the tokenizer character has 12 tokens, the model 9',
    )
    const broken = new Gpt(configuration, randomKey(5))
    broken.tokenEmbedding.weight = full([vocabularySize, 8], Number.NaN)
    await expect(generateText(broken, tokenizer, 'a', { tokens: 1 })).rejects.toThrow('the logit of token 0 is NaN')
  })
})
