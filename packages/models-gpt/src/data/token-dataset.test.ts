import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CharacterTokenizer } from '../tokenizers/character-tokenizer.ts'
import { TokenDataset, textDatasets } from './token-dataset.ts'

/** Tokens that are their own places, so that a batch shows where it was taken. */
const places = (length: number) => Int32Array.from({ length }, (_, index) => index)

const sizes = fc
  .record({
    blockSize: fc.integer({ min: 1, max: 9 }),
    batchSize: fc.integer({ min: 1, max: 5 }),
    more: fc.integer({ min: 1, max: 40 }),
  })
  .map(({ blockSize, batchSize, more }) => ({ blockSize, batchSize, length: blockSize + more }))

describe('TokenDataset.batch', () => {
  it('takes whole sequences, with the following token as target', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), ({ blockSize, batchSize, length }, seed, step) => {
        const { shape, inputs, targets } = new TokenDataset(places(length), { batchSize, blockSize, seed }).batch(step)
        expect(shape).toEqual([batchSize, blockSize])
        expect(inputs.length).toBe(batchSize * blockSize)
        expect([...targets]).toEqual([...inputs].map((token) => token + 1))
        inputs.forEach((token, index) => {
          if (index % blockSize > 0) expect(token).toBe(inputs[index - 1]! + 1)
        })
        expect(Math.max(...targets)).toBeLessThan(length)
      }),
    )
  })

  it('depends on the seed and the step alone', () => {
    const make = (seed: number) => new TokenDataset(places(10_000), { batchSize: 4, blockSize: 8, seed })
    const forwards = make(3)
    const first = [0, 1, 2, 3].map((step) => forwards.batch(step))
    const backwards = make(3)
    expect([3, 2, 1, 0].map((step) => backwards.batch(step)).reverse()).toEqual(first)
    const others = [...first, make(4).batch(0), make(3).batch(2 ** 40)]
    expect(new Set(others.map(({ inputs }) => String(inputs))).size).toBe(others.length)
  })

  it('reaches every place, the last one too, equally often', () => {
    const dataset = new TokenDataset(places(13), { batchSize: 100, blockSize: 3, seed: 1 })
    const counts = new Array(10).fill(0)
    for (let step = 0; step < 100; step++) {
      dataset.batch(step).inputs.forEach((token, index) => {
        if (index % 3 === 0) counts[token]++
      })
    }
    // Each of the ten places expects 1,000 of 10,000 draws with a standard deviation of 30.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  it('is the same on every machine', () => {
    const dataset = new TokenDataset(places(1_115_394), { batchSize: 4, blockSize: 1, seed: 1337 })
    // Computed apart from this package, from the definition of Philox4x32-10.
    expect([...dataset.batch(0).inputs]).toEqual([952_852, 955_165, 914_726, 819_666])
  })

  it('takes 16-bit tokens', () => {
    const dataset = new TokenDataset(Uint16Array.of(50_256, 50_255), { batchSize: 1, blockSize: 1 })
    expect([...dataset.batch(0).inputs, ...dataset.batch(0).targets]).toEqual([50_256, 50_255])
  })
})

describe('TokenDataset.evaluationBatches', () => {
  it('goes through the data once, in order, without overlap', () => {
    fc.assert(
      fc.property(sizes, ({ blockSize, batchSize, length }) => {
        const dataset = new TokenDataset(places(length), { batchSize, blockSize })
        const batches = [...dataset.evaluationBatches()]
        const inputs = batches.flatMap((batch) => [...batch.inputs])
        const used = dataset.evaluationSequences * blockSize
        expect(inputs).toEqual([...places(used)])
        expect(batches.flatMap((batch) => [...batch.targets])).toEqual(inputs.map((token) => token + 1))
        expect(length - 1 - used).toBeLessThan(blockSize)
        expect(batches.map(({ shape }) => shape[0]).reduce((sum, rows) => sum + rows)).toBe(dataset.evaluationSequences)
        for (const { shape, inputs: rows } of batches) expect(rows.length).toBe(shape[0] * shape[1])
        for (const { shape } of batches.slice(0, -1)) expect(shape[0]).toBe(batchSize)
      }),
    )
  })
})

describe('what a TokenDataset refuses', () => {
  it('fewer tokens than a block needs, with both numbers', () => {
    expect(new TokenDataset(places(9), { batchSize: 1, blockSize: 8 }).evaluationSequences).toBe(1)
    expect(() => new TokenDataset(places(8), { batchSize: 1, blockSize: 8 })).toThrow(
      expect.objectContaining({
        code: 'DATASET_TOO_SHORT',
        message: expect.stringContaining('there are 8 tokens, but a block of 8 and the token after it need 9'),
      }),
    )
  })

  it.each([
    [{ batchSize: 0 }, /batchSize must be an integer from 1 up, not 0/],
    [{ blockSize: 1.5 }, /blockSize must be/],
    [{ seed: -1 }, /seed must be an integer from 0/],
  ])('%o', (change, message) => {
    expect(() => new TokenDataset(places(99), { batchSize: 1, blockSize: 1, ...change })).toThrow(message)
  })

  it('a step that is no counter', () => {
    const dataset = new TokenDataset(places(99), { batchSize: 1, blockSize: 1 })
    for (const step of [-1, 0.5, Number.NaN])
      expect(() => dataset.batch(step)).toThrow(/step must be an integer from 0/)
  })
})

describe('textDatasets', () => {
  const text = 'abcdefghij'.repeat(10)
  const tokenizer = CharacterTokenizer.fromText(text)

  it('encodes the two parts of a text', () => {
    const { training, validation } = textDatasets(text, tokenizer, { batchSize: 2, blockSize: 4, seed: 5 })
    expect([training.tokens.length, validation.tokens.length]).toEqual([90, 10])
    expect(tokenizer.decode(validation.tokens)).toBe('abcdefghij')
    expect(training.seed).toBe(5)
  })

  it('says which part is too short', () => {
    expect(() => textDatasets(text, tokenizer, { batchSize: 1, blockSize: 10 })).toThrow(
      'validation text (the last 10 %): there are 10 tokens, but a block of 10 and the token after it need 11',
    )
    expect(() => textDatasets(text, tokenizer, { batchSize: 1, blockSize: 95 })).toThrow(
      'training text: there are 90 tokens',
    )
  })
})
