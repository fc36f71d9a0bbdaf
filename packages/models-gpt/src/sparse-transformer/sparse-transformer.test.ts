import { createRuntime, jit, namedTensors, randomKey, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { blocks, fixedHeads, strided } from '@tessera/kernel-sparse-attention'
import { Adam } from '@tessera/nn'
import { describe, expect, it } from 'vitest'
import { type SparseTransformerOptions, sparseTransformerConfiguration } from './configuration.ts'
import { SparseTransformer } from './model.ts'
import { countSparseTransformerParameters } from './parameters.ts'
import { sparseTransformerPreset, sparseTransformerPresetNames } from './presets.ts'

const small: SparseTransformerOptions = {
  layers: 2,
  heads: 2,
  width: 8,
  keyWidth: 2,
  length: 12,
  vocabularySize: 7,
  attention: [fixedHeads(4, 1, 2), strided(3)],
  positions: { kind: 'data', extents: [3, 4] },
}
const make = (changes: Partial<SparseTransformerOptions> = {}): SparseTransformer => {
  const model = new SparseTransformer(sparseTransformerConfiguration({ ...small, ...changes }), randomKey(2))
  for (const weight of Object.values(model.parameters())) weight.realize()
  return model
}
const elements = tensor(
  Int32Array.from({ length: 24 }, (_, i) => (i * i + i) % 7),
  [2, 12],
)

describe('SparseTransformer', () => {
  it('starts with a loss of exactly log(vocabulary), since its output starts at 0', async () => {
    expect(await make().loss(elements).item()).toBeCloseTo(Math.log(7), 6)
  })

  it('predicts each element from those before it only', async () => {
    const model = make()
    model.output.weight = model.tokenEmbedding.weight.transpose().realize()
    const before = [...(await model.forward(elements).data())]
    for (const place of [0, 5, 11]) {
      const values = [...(await elements.data())]
      values[place] = (values[place]! + 1) % 7
      const after = [...(await model.forward(tensor(Int32Array.from(values), [2, 12])).data())]
      const changed = Array.from({ length: 12 }, (_, i) => i).filter((i) =>
        [0, 1, 2, 3, 4, 5, 6].some((k) => before[i * 7 + k] !== after[i * 7 + k]),
      )
      expect(changed.every((i) => i > place)).toBe(true)
      expect(changed.includes(place + 1)).toBe(place < 11)
    }
  })

  it('adds an embedding for each axis of the data, or for period and place in it', async () => {
    const [rows, columns] = make().positionEmbeddings.map(({ weight }) => weight) as [Tensor, Tensor]
    const sum = [...(await make().positions().slice(0, 6, 7).data())]
    const expected = [...(await rows.select(0, 1).add(columns.select(0, 2)).data())]
    expect(sum).toEqual(expected)
    const shapes = make({ positions: { kind: 'attention', period: 5 } }).positionEmbeddings.map(
      ({ weight }) => weight.shape[0],
    )
    expect(shapes).toEqual([3, 5])
  })

  it('starts embeddings with the deviation of the paper, times a factor', async () => {
    const deviation = async (embeddingScale?: number) => {
      const sizes = { vocabularySize: 4000, ...(embeddingScale !== undefined && { embeddingScale }) }
      return Math.sqrt(await make(sizes).tokenEmbedding.weight.square().mean().item())
    }
    expect((await deviation()) / (0.125 / Math.sqrt(8))).toBeCloseTo(1, 1)
    expect((await deviation(32)) / (await deviation())).toBeCloseTo(32, 3)
  })

  it('keeps the residual stream the same size at any depth, by first weights scaled by 1/√(2N)', async () => {
    const spread = async (layers: number) => {
      const model = make({ layers, width: 32, keyWidth: 16, recompute: false })
      let x = model.positions().unsqueeze(0).multiply(100)
      const start = await x.square().mean().item()
      for (const block of model.blocks) x = block.forward(x).realize()
      return (await x.square().mean().item()) / start
    }
    const [shallow, deep] = [await spread(4), await spread(16)]
    expect(Math.abs(deep / shallow - 1)).toBeLessThan(0.1)
  })

  it('learns, with dropout and blocks that are computed again', async () => {
    const model = make({ dropout: 0.1 })
    const optimizer = new Adam(model, { learningRate: 0.02 })
    const step = jit((model: SparseTransformer, optimizer: Adam) => {
      const { value, gradients } = valueAndGrad(model, (m) => m.loss(elements))
      optimizer.update(model, gradients)
      return value
    })
    const losses: number[] = []
    for (let i = 0; i < 25; i++) losses.push(await step(model, optimizer).item())
    expect(losses.at(-1)!).toBeLessThan(0.7 * losses[0]!)
    expect(namedTensors(model).size).toBeGreaterThan(30)
  })

  it('has the same gradients, bit for bit, when blocks are computed again: dropout is replayed', async () => {
    // Fused loops keep some values unrounded, or sum in another order; ops on their own do not.
    const runtime = await createRuntime({ fuse: false })
    const gradientsOf = async (recompute: boolean) => {
      const model = make({ dropout: 0.3, recompute })
      model.output.weight = model.tokenEmbedding.weight.transpose().realize()
      const step = jit((model: SparseTransformer) => valueAndGrad(model.parameters(), () => model.loss(elements)))
      const found: Record<string, number[]> = {}
      // Twice: the second step draws other masks.
      for (const round of [1, 2]) {
        const { gradients } = step(model)
        for (const [name, gradient] of Object.entries(gradients))
          found[`${round} ${name}`] = [...(await gradient.data())]
      }
      return found
    }
    const [kept, again] = [await gradientsOf(false), await gradientsOf(true)]
    expect(again).toEqual(kept)
    const name = 'blocks.0.expansion.weight'
    expect(kept[`2 ${name}`]).not.toEqual(kept[`1 ${name}`])
    await runtime.close()
  })

  it('refuses what does not fit', () => {
    const refuse = (changes: Partial<SparseTransformerOptions>) => () =>
      sparseTransformerConfiguration({ ...small, ...changes })
    expect(refuse({ positions: { kind: 'data', extents: [3, 5] } })).toThrow(
      'embeddings of [3, 5] have 15 places, the length is 12',
    )
    expect(refuse({ attention: [strided(13)] })).toThrow('stride 13 exceeds the length 12')
    const mask = [
      [1, 1],
      [1, 1],
    ]
    expect(refuse({ attention: [blocks(6, mask, { causal: false })] })).toThrow('block mask that is not causal')
    expect(refuse({ heads: 3 })).toThrow('width 8 does not divide into 3 heads')
    expect(refuse({ embeddingScale: 0 })).toThrow('embeddingScale must be above 0')
    expect(refuse({ dropout: 1 })).toThrow('dropout must be at least 0 and below 1')
    expect(() => make().forward(elements.slice(1, 0, 11))).toThrow('takes elements of shape [batch, 12], got [2, 11]')
  })

  it('has presets that fit', () => {
    for (const name of sparseTransformerPresetNames) expect(sparseTransformerPreset(name).vocabularySize).toBe(256)
    expect(sparseTransformerPreset('cifar-10')).toMatchObject({ layers: 128, keyWidth: 64, length: 3072 })
    expect(() => sparseTransformerPreset('mnist' as 'cifar-10')).toThrow(
      "'mnist' is not known. Known: enwik8, cifar-10",
    )
  })

  it.each([
    // Child et al. 2019, table 1, as rounded there.
    ['cifar-10', 59],
    ['enwik8', 95],
    ['imagenet-64', 152],
    ['audio-65k', 152],
  ] as const)('%s has %d million parameters', (name, millions) => {
    expect(Math.round(countSparseTransformerParameters(sparseTransformerPreset(name)) / 1e6)).toBe(millions)
  })

  it.each([
    // Table 4: the sizes behind these numbers are ours.
    ['audio-262k', 25, 262_144],
    ['audio-1m', 3, 1_048_576],
  ] as const)('%s has about %d million parameters', (name, millions, length) => {
    const preset = sparseTransformerPreset(name)
    expect(preset.length).toBe(length)
    expect(Math.abs(countSparseTransformerParameters(preset) / (millions * 1e6) - 1)).toBeLessThan(0.05)
  })

  it.each<Partial<SparseTransformerOptions>>([
    {},
    { positions: { kind: 'attention', period: 5 }, feedForwardWidth: 5 },
  ])('counts the parameters that a model has: %o', (changes) => {
    const model = make(changes)
    expect(countSparseTransformerParameters(model.configuration)).toBe(model.parameterCount)
  })
})
