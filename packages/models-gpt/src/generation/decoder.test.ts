import { randomKey, tensor } from '@tessera/core'
import { banded, fixedHeads, strided } from '@tessera/kernel-sparse-attention'
import { describe, expect, it } from 'vitest'
import { gptConfiguration } from '../gpt/configuration.ts'
import { Gpt } from '../gpt/model.ts'
import { GptDecoder } from './decoder.ts'

const configuration = gptConfiguration({ layers: 2, heads: 2, width: 8, blockSize: 24, vocabularySize: 11 })

/** A model whose logits differ enough to tell positions apart. */
function makeModel(): Gpt {
  const model = new Gpt(configuration, randomKey(3))
  for (const part of [model.tokenEmbedding, model.positionEmbedding]) part.weight = part.weight.multiply(20)
  for (const { attention } of model.blocks) attention.queryKeyValue.weight = attention.queryKeyValue.weight.multiply(20)
  for (const weight of Object.values(model.parameters())) weight.realize()
  return model
}

const model = makeModel()
const text = Array.from({ length: 40 }, (_, i) => (i * i + 3 * i) % 11)

/** Logits of every position by one pass over the whole text. */
async function fullLogits(tokens: readonly number[]): Promise<Float32Array[]> {
  const values = (await model.forward(tensor(Int32Array.from(tokens), [1, tokens.length])).data()) as Float32Array
  return tokens.map((_, i) => values.slice(i * 11, (i + 1) * 11))
}

function expectClose(actual: Float32Array, expected: Float32Array): void {
  const largest = Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))
  expect(largest).toBeLessThan(1e-4)
}

describe('GptDecoder', () => {
  it('gives the logits of a full pass at every position of the block, with one program', async () => {
    const decoder = new GptDecoder(model)
    const expected = await fullLogits(text.slice(0, 24))
    expect(Math.abs(expected[3]![0]! - expected[20]![0]!)).toBeGreaterThan(1e-2)
    for (let position = 0; position < 24; position++) {
      const [logits] = await decoder.append([[text[position]!]])
      expectClose(logits!, expected[position]!)
    }
    expect(decoder.compilations).toBe(1)
    expect(decoder.length).toBe(24)
  })

  it('gives them with sparse attention, for texts shorter and longer than its patterns', async () => {
    const attention = [fixedHeads(6, 2, 2), banded(5), strided(4)]
    const sparse = new Gpt(gptConfiguration({ ...configuration, layers: 3, attention }), randomKey(3))
    for (const part of [sparse.tokenEmbedding, sparse.positionEmbedding])
      part.weight = part.weight.multiply(20).realize()
    for (const length of [3, 24]) {
      const tokens = text.slice(0, length)
      const full = (await sparse.forward(tensor(Int32Array.from(tokens), [1, length])).data()) as Float32Array
      const decoder = new GptDecoder(sparse)
      for (let position = 0; position < length; position++) {
        const [logits] = await decoder.append([[tokens[position]!]])
        expectClose(logits!, full.slice(position * 11, (position + 1) * 11))
      }
    }
  })

  it('reads prompts of any length in pieces, and goes on token by token', async () => {
    const expected = await fullLogits(text.slice(0, 24))
    for (const length of [1, 2, 15, 16, 17, 24]) {
      const decoder = new GptDecoder(model)
      const [logits] = await decoder.append([text.slice(0, length)])
      expectClose(logits!, expected[length - 1]!)
      for (let position = length; position < Math.min(length + 3, 24); position++) {
        const [next] = await decoder.append([[text[position]!]])
        expectClose(next!, expected[position]!)
      }
    }
  })

  it('compiles at most one program for each length of piece, however long the text gets', async () => {
    const decoder = new GptDecoder(model)
    for (const length of [3, 1, 20, 1, 5, 2, 1, 24, 1]) await decoder.append([text.slice(0, length)])
    expect(decoder.compilations).toBeLessThanOrEqual(3)
  })

  it('goes on with the last half block when the block is full', async () => {
    const decoder = new GptDecoder(model)
    await decoder.append([text.slice(0, 24)])
    const [logits] = await decoder.append([[text[24]!]])
    const window = await fullLogits(text.slice(13, 25))
    expectClose(logits!, window.at(-1)!)
    // The twelve positions in the cache are followed by twelve more before it is full again.
    for (let position = 25; position < 37; position++) await decoder.append([[text[position]!]])
    const [last] = await decoder.append([[text[37]!]])
    expectClose(last!, (await fullLogits(text.slice(26, 38))).at(-1)!)
  })

  it('sees the last half block of a prompt that is longer than a block', async () => {
    const [logits] = await new GptDecoder(model).append([text])
    expectClose(logits!, (await fullLogits(text.slice(28, 40))).at(-1)!)
  })

  it('keeps several texts apart', async () => {
    const decoder = new GptDecoder(model, 2)
    const rows = [text.slice(0, 5), text.slice(7, 12)]
    await decoder.append(rows.map((row) => row.slice(0, 3)))
    await decoder.append(rows.map((row) => row.slice(3, 4)))
    const logits = await decoder.append(rows.map((row) => row.slice(4)))
    for (const [i, row] of rows.entries()) expectClose(logits[i]!, (await fullLogits(row)).at(-1)!)
  })

  it('leaves the model in the mode in which it was, and drops nothing', async () => {
    const dropping = new Gpt({ ...configuration, dropout: 0.5 }, randomKey(3))
    const run = async () => (await new GptDecoder(dropping).append([[1, 2, 3]]))[0]!
    expect(await run()).toEqual(await run())
    expect(dropping.training).toBe(true)
    expect(dropping.blocks[1]!.attentionDropout!.training).toBe(true)
  })

  it('refuses tokens that are not in the vocabulary, and texts of different lengths', async () => {
    const decoder = new GptDecoder(model, 2)
    const message = "Token 11 at position 1 is not in the model's vocabulary of 11 (0 to 10)"
    await expect(
      decoder.append([
        [1, 2],
        [1, 11],
      ]),
    ).rejects.toThrow(message)
    await expect(decoder.append([[1], [-1]])).rejects.toThrow('Token -1 at position 0')
    await expect(decoder.append([[1], [1, 2]])).rejects.toThrow(
      'the same number of tokens, one at least, for each of 2 texts, got [1, 2]',
    )
    await expect(decoder.append([[1]])).rejects.toThrow('got [1]')
    await expect(decoder.append([[], []])).rejects.toThrow('got [0, 0]')
    expect(() => new GptDecoder(model, 0)).toThrow('the number of texts must be a whole number from 1 up, got 0')
  })
})
