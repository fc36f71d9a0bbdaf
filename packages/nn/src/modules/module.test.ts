import { ones, randomKey, splitKey, type Tensor, tensor, zeros } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { normal } from '../initializers/initializers.ts'
import { Embedding } from './embedding.ts'
import { LayerNorm } from './layer-norm.ts'
import { Linear } from './linear.ts'
import { Mlp } from './mlp.ts'
import { Module, parametersOf } from './module.ts'
import { Sequential } from './sequential.ts'

class Block extends Module {
  readonly norm = new LayerNorm(4)
  readonly feedForward: Mlp
  constructor(key: Tensor) {
    super()
    this.feedForward = new Mlp([4, 8, 4], { key })
  }
}

class Normalized extends Module {
  weight = ones([2])
  runningMean = zeros([2])
  seen = tensor(new Int32Array([0]))
  override bufferNames() {
    return ['runningMean']
  }
}

class Model extends Module {
  readonly blocks: readonly Block[]
  readonly named: Record<string, Normalized> = { first: new Normalized() }
  readonly shared: Linear
  readonly again: Linear
  constructor() {
    super()
    const keys = splitKey(randomKey(0), 3) as [Tensor, Tensor, Tensor]
    this.blocks = [new Block(keys[0]), new Block(keys[1])]
    this.shared = new Linear(3, 2, { key: keys[2], bias: false })
    this.again = this.shared
  }
}

describe('walking a tree of modules', () => {
  test('lists trainable tensors by path, through arrays and records, each once', () => {
    const model = new Model()
    expect(Object.keys(model.parameters())).toEqual([
      ...[0, 1].flatMap((i) => [
        `blocks.${i}.norm.gain`,
        `blocks.${i}.norm.bias`,
        ...[0, 1].flatMap((j) => [
          `blocks.${i}.feedForward.layers.${j}.weight`,
          `blocks.${i}.feedForward.layers.${j}.bias`,
        ]),
      ]),
      'named.first.weight',
      'shared.weight',
    ])
    expect(model.parameterCount).toBe(2 * (4 + 4 + (4 * 8 + 8) + (8 * 4 + 4)) + 2 + 6)
    expect(model.parameters()['shared.weight']).toBe(model.again.weight)
  })

  test('finds every module once', () => {
    const model = new Model()
    expect(model.modules()).toHaveLength(1 + 2 * (1 + 1 + 1 + 2) + 1 + 1)
    expect(new Set(model.modules()).size).toBe(model.modules().length)
  })

  test('places of tied tensors are kept together', () => {
    const shared = ones([1])
    const [placed, ...others] = parametersOf({ a: { weight: shared }, b: [shared] })
    expect(others).toEqual([])
    expect(placed!.name).toBe('a.weight')
    expect(placed!.places.map(({ key }) => key)).toEqual(['weight', '0'])
  })
})

describe('modes', () => {
  test('train and eval reach every module', () => {
    const model = new Model()
    expect(
      model
        .eval()
        .modules()
        .every(({ training }) => !training),
    ).toBe(true)
    expect(
      model
        .train()
        .modules()
        .every(({ training }) => training),
    ).toBe(true)
  })

  test('frozen modules have no parameters; the others keep theirs', () => {
    const model = new Model()
    model.blocks[0]!.freeze()
    expect(Object.keys(model.parameters()).some((name) => name.startsWith('blocks.0.'))).toBe(false)
    expect(Object.keys(model.parameters()).some((name) => name.startsWith('blocks.1.'))).toBe(true)
    expect(Object.keys(model.unfreeze().parameters()).some((name) => name.startsWith('blocks.0.'))).toBe(true)
  })
})

describe('layers', () => {
  test('Linear multiplies by [inputs, outputs] and adds the bias', async () => {
    const layer = new Linear(2, 3, { key: randomKey(0) })
    layer.weight = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ])
    layer.bias = tensor([0.5, 0, -1])
    expect([...(await layer.forward(tensor([[[1, -1]]])).data())]).toEqual([-2.5, -3, -4])
    const plain = new Linear(2, 3, { key: randomKey(0), bias: false, activation: 'relu', initializer: normal(1) })
    expect(plain.bias).toBeUndefined()
    plain.weight = layer.weight
    expect([...(await plain.forward(tensor([[[1, -0.25]]])).data())]).toEqual([0, 0.75, 1.5])
  })

  test('the same key gives the same weights, another key others', async () => {
    const weights = async (seed: number) => [...(await new Linear(4, 4, { key: randomKey(seed) }).weight.data())]
    expect(await weights(1)).toEqual(await weights(1))
    expect(await weights(1)).not.toEqual(await weights(2))
    expect((await weights(1)).every((weight) => Math.abs(weight) <= 0.5)).toBe(true)
  })

  test('Embedding picks rows, and attends to all of them', async () => {
    const embedding = new Embedding(3, 2, { key: randomKey(0) })
    embedding.weight = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const rows = embedding.forward(tensor(new Int32Array([2, 0]), [1, 2]))
    expect([rows.shape, [...(await rows.data())]]).toEqual([
      [1, 2, 2],
      [5, 6, 1, 2],
    ])
    expect([...(await embedding.attend(tensor([[1, 10]])).data())]).toEqual([21, 43, 65])
  })

  test('LayerNorm has the parts that are asked for', async () => {
    const x = tensor([[1, 3]])
    expect(Object.keys(new LayerNorm(2, { bias: false }).parameters())).toEqual(['gain'])
    expect(Object.keys(new LayerNorm(2, { gain: false }).parameters())).toEqual([])
    const biased = new LayerNorm(2, { gain: false, bias: true, epsilon: 0 })
    biased.bias = tensor([10, 20])
    expect([...(await biased.forward(x).data())]).toEqual([9, 21])
    expect([...(await new LayerNorm(2, { epsilon: 3 }).forward(x).data())]).toEqual([-0.5, 0.5])
  })

  test('Mlp has activations between its layers only', async () => {
    const mlp = new Mlp([1, 1, 1], {
      key: randomKey(0),
      activation: 'relu',
      initializer: () => tensor([[-1]]),
    })
    expect(await mlp.forward(tensor([[-2]])).item()).toBe(-2)
    expect(await mlp.forward(tensor([[2]])).item()).toBeCloseTo(0)
  })

  test('Mlp gives its last layer weights of its own when asked', async () => {
    const mlp = new Mlp([2, 2, 2], {
      key: randomKey(0),
      initializer: (_, shape) => ones(shape),
      outputInitializer: (_, shape) => zeros(shape),
    })
    expect([...(await mlp.layers[0]!.weight.data())]).toEqual([1, 1, 1, 1])
    expect([...(await mlp.layers[1]!.weight.data())]).toEqual([0, 0, 0, 0])
  })

  test('Sequential runs layers and functions in order', async () => {
    const model = new Sequential([(x) => x.add(1), new LayerNorm(2, { epsilon: 0 }), (x) => x.multiply(10)])
    expect([...(await model.forward(tensor([[1, 3]])).data())]).toEqual([-10, 10])
    expect(Object.keys(model.parameters())).toEqual(['layers.1.gain', 'layers.1.bias'])
  })

  test('sizes that make no layer are refused', () => {
    const key = randomKey(0)
    expect(() => new Linear(0, 2, { key })).toThrow(/Linear: inputs must be a whole number from 1 up, got 0/)
    expect(() => new Embedding(2, 1.5, { key })).toThrow(/Embedding: channels .* got 1.5/)
    expect(() => new LayerNorm(Number.NaN)).toThrow(/LayerNorm: channels .* got NaN/)
    expect(() => new Mlp([3], { key })).toThrow(/at least two extents.*\[3\]/)
  })
})
