import { jit, randomKey, randomNormal, splitKey, type Tensor, tensor } from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { Embedding } from '../modules/embedding.ts'
import { Linear } from '../modules/linear.ts'
import { Module } from '../modules/module.ts'
import { QuantizedEmbedding, QuantizedLinear } from './layers.ts'
import { quantize } from './quantize.ts'

class Tied extends Module {
  readonly table: Embedding
  readonly layers: readonly Linear[]
  readonly again: Linear
  readonly names = { first: 'a' }

  constructor(key: Tensor) {
    super()
    const keys = splitKey(key, 3)
    this.table = new Embedding(20, 32, { key: keys[0]! })
    this.layers = keys.slice(1).map((each) => new Linear(32, 32, { key: each, activation: 'relu' }))
    this.again = this.layers[0]!
  }

  forward(tokens: Tensor): Tensor {
    const hidden = this.layers.reduce((x, layer) => layer.forward(x), this.table.forward(tokens))
    return this.table.attend(this.again.forward(hidden))
  }
}

const model = new Tied(randomKey(0))
const tokens = tensor(new Int32Array([3, 0, 19, 7]), [2, 2])

/** Root mean square of the difference, relative to that of the wanted numbers. */
async function relativeError(actual: Tensor, wanted: Tensor): Promise<number> {
  const difference = await actual.subtract(wanted).square().mean().item()
  return Math.sqrt(difference / (await wanted.square().mean().item()))
}

describe('quantize', () => {
  it('replaces linear layers and embeddings in a copy, those that are shared once', () => {
    const small = quantize(model, { bits: 8 })
    expect(small).toBeInstanceOf(Tied)
    expect(small.table).toBeInstanceOf(QuantizedEmbedding)
    expect(small.layers.every((layer) => layer instanceof QuantizedLinear)).toBe(true)
    expect(small.again).toBe(small.layers[0])
    expect(model.layers[0]).toBeInstanceOf(Linear)
    expect(small.names).toEqual(model.names)
    expect(small.parameterCount).toBe(0)
  })

  it('stays close to the model: half a percent with 8 bits, a tenth with 4', async () => {
    const wanted = model.forward(tokens)
    expect(await relativeError(quantize(model, { bits: 8 }).forward(tokens), wanted)).toBeLessThan(0.015)
    expect(await relativeError(quantize(model, { bits: 4 }).forward(tokens), wanted)).toBeLessThan(0.2)
    // Rounding must be seen, or nothing was rounded.
    expect(await relativeError(quantize(model, { bits: 8 }).forward(tokens), wanted)).toBeGreaterThan(1e-4)
  })

  it('stores weights as 16-bit floats, and gives f32', async () => {
    const wanted = model.forward(tokens)
    for (const [format, limit] of [
      ['f16', 2 ** -10],
      ['bf16', 2 ** -7],
    ] as const) {
      const small = quantize(model, { format })
      expect([small.table.weight.dtype, small.layers[0]!.weight.dtype, small.again]).toEqual([
        format,
        format,
        small.layers[0],
      ])
      const actual = small.forward(tokens)
      expect(actual.dtype).toBe('f32')
      expect(await relativeError(actual, wanted)).toBeLessThan(limit)
      expect(await relativeError(actual, wanted)).toBeGreaterThan(limit / 100)
    }
  })

  it('asks for each layer by its path', () => {
    const asked: string[] = []
    const small = quantize(model, (path, layer) => {
      asked.push(path)
      return layer instanceof Embedding ? undefined : { bits: 4, block: 16 }
    })
    expect(asked).toEqual(['table', 'layers.0', 'layers.1'])
    expect(small.table).toBeInstanceOf(Embedding)
    expect(small.layers[1]).toMatchObject({ bits: 4, block: 16 })
  })

  it('runs in jit, and keeps a bias and an activation', async () => {
    const layer = new Linear(64, 8, { key: randomKey(3), activation: 'relu' })
    layer.bias = randomNormal(randomKey(4), [8])
    const small = new QuantizedLinear(layer, { bits: 8 })
    const x = randomNormal(randomKey(5), [3, 64])
    const run = jit((each: QuantizedLinear, input: Tensor) => each.forward(input))
    expect(await relativeError(run(small, x), layer.forward(x))).toBeLessThan(0.02)
  })

  it('refuses blocks that do not divide the inputs', () => {
    expect(() => quantize(new Linear(20, 4, { key: randomKey(1) }), { bits: 4 })).toThrow(/blocks of 32/)
  })
})
