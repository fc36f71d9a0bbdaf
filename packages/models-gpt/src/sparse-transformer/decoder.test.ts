import { randomKey, tensor } from '@tessera/core'
import { dense, fixedHeads, type SparsePattern, strided } from '@tessera/kernel-sparse-attention'
import { describe, expect, it } from 'vitest'
import { sparseTransformerConfiguration } from './configuration.ts'
import { generateSequences, SparseTransformerDecoder } from './decoder.ts'
import { SparseTransformer } from './model.ts'

/** A model whose logits tell positions and elements apart. */
function make(attention: readonly (SparsePattern | readonly SparsePattern[])[]): SparseTransformer {
  const model = new SparseTransformer(
    sparseTransformerConfiguration({
      layers: 3,
      heads: 2,
      width: 8,
      keyWidth: 3,
      length: 20,
      vocabularySize: 7,
      attention,
      positions: { kind: 'attention', period: 6 },
      dropout: 0.5,
    }),
    randomKey(4),
  )
  for (const embedding of [model.tokenEmbedding, ...model.positionEmbeddings])
    embedding.weight = embedding.weight.multiply(40)
  model.start = model.start.multiply(40)
  model.output.weight = model.tokenEmbedding.weight.transpose()
  for (const weight of Object.values(model.parameters())) weight.realize()
  return model
}

const sequences = [0, 1].map((row) => Array.from({ length: 20 }, (_, i) => (i * i + 3 * i + row * (i % 3)) % 7))

describe('SparseTransformerDecoder', () => {
  const mixed = [fixedHeads(6, 2, 2), strided(5), dense()]

  it.each([
    ['sparse', mixed],
    ['dense', [dense()]],
  ] as const)('gives the logits of a full pass at every position, with %s layers', async (_, attention) => {
    const model = make(attention)
    model.eval()
    const full = [...(await model.forward(tensor(Int32Array.from(sequences.flat()), [2, 20])).data())]
    model.train()
    const decoder = new SparseTransformerDecoder(model, 2)
    let logits = await decoder.begin()
    for (let place = 0; place < 20; place++) {
      if (place > 0) logits = await decoder.append(sequences.map((sequence) => sequence[place - 1]!))
      for (const row of [0, 1]) {
        const expected = full.slice((row * 20 + place) * 7, (row * 20 + place + 1) * 7)
        for (const [k, value] of expected.entries()) expect(Math.abs(logits[row]![k]! - value)).toBeLessThan(1e-4)
      }
    }
    expect(decoder.length).toBe(19)
    expect(model.training).toBe(true)
    await expect(decoder.append([0, 0])).rejects.toThrow('knows 20 positions, and 19 elements')
    decoder.dispose()
  })

  it('refuses elements that do not fit', async () => {
    const decoder = new SparseTransformerDecoder(make(mixed), 2)
    await expect(decoder.append([1])).rejects.toThrow('one element for each of 2 sequences, got 1')
    await expect(decoder.append([1, 7])).rejects.toThrow('Token 7 at position 1 is not in the')
    expect(() => decoder.begin()).toThrow('begin comes once')
    expect(() => new SparseTransformerDecoder(make(mixed), 0)).toThrow('number of sequences must be')
  })
})

describe('generateSequences', () => {
  it('draws from the distribution of the model, each sequence on its own', async () => {
    const model = make([strided(5)])
    const progress: number[] = []
    const options = { seed: 5, length: 8, temperature: 5, onProgress: (made: number) => progress.push(made) }
    const one = await generateSequences(model, options)
    const three = await generateSequences(model, { ...options, samples: 3 })
    expect(three[0]).toEqual(one[0])
    expect(three[1]).not.toEqual(three[0])
    expect(progress).toHaveLength(16)
    // The likeliest first element, by the logits of a full pass.
    const [greedy] = await generateSequences(model, { length: 1, temperature: 0 })
    model.eval()
    const logits = [
      ...(await model
        .forward(tensor(new Int32Array(20), [1, 20]))
        .slice(1, 0, 1)
        .data()),
    ]
    expect(greedy![0]).toBe(logits.indexOf(Math.max(...logits)))
  })

  it('refuses lengths beyond the model and seeds that are none', async () => {
    const model = make([strided(5)])
    await expect(generateSequences(model, { length: 21 })).rejects.toThrow("from 1 to the model's 20, got 21")
    await expect(generateSequences(model, { seed: -1 })).rejects.toThrow('the seed must be an integer')
    await expect(generateSequences(model, { temperature: -1 })).rejects.toThrow('temperature')
  })
})
