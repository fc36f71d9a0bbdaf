import { randomKey } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Linear, meanSquaredError, Sgd, train } from '../index.ts'
import { Dataset } from './dataset.ts'
import { stackExamples, toTensors } from './host-tensor.ts'
import { Loader } from './loader.ts'
import { hostRandom, permutation } from './random.ts'

const numbers = (length: number) => Dataset.of(Array.from({ length }, (_, i) => i))
const epochOf = async <Item>(dataset: Dataset<Item>, epoch: number) =>
  Promise.all(Array.from({ length: dataset.length }, (_, index) => dataset.at(index, epoch)))

describe('stages', () => {
  test('shuffle gives every item once in each epoch, in an order of its own, the same for the same seed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 60 }), fc.nat(1000), async (length, seed) => {
        const shuffled = numbers(length).shuffle(seed)
        for (const epoch of [0, 1, 2, 0]) {
          const items = await epochOf(shuffled, epoch)
          expect([...items].sort((a, b) => a - b)).toEqual(await epochOf(numbers(length), 0))
          expect(await epochOf(numbers(length).shuffle(seed), epoch)).toEqual(items)
        }
      }),
      { numRuns: 30 },
    )
    const orders = await Promise.all(
      [0, 1, 2].map(async (epoch) => (await epochOf(numbers(50).shuffle(3), epoch)).join()),
    )
    expect(new Set(orders).size).toBe(3)
    expect(await epochOf(numbers(50).shuffle(3), 0)).not.toEqual(await epochOf(numbers(50).shuffle(4), 0))
    expect(await epochOf(numbers(50).shuffle(3).fixed(), 5)).toEqual(await epochOf(numbers(50).shuffle(3), 0))
  })

  test('permutations are drawn evenly', () => {
    const counts = new Map<string, number>()
    const random = hostRandom(1, 2)
    for (let i = 0; i < 6000; i++) {
      const key = permutation(3, random).join('')
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    // Five standard deviations of a binomial distribution.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(6000 * (5 / 36)))
  })

  test('map gives random numbers that depend on item, epoch and seed alone', async () => {
    const drawn = (seed: number) => numbers(20).map((x, { random }) => [x, random(), random()].join(), { seed })
    expect(await drawn(1).at(3, 2)).toBe(await drawn(1).at(3, 2))
    const all = [await drawn(1).at(3, 2), await drawn(1).at(3, 1), await drawn(2).at(3, 2), await drawn(1).at(4, 2)]
    expect(new Set(all.map((text) => text.split(',')[1])).size).toBe(4)
  })

  test('slices, splits and joins', async () => {
    const [first, second] = numbers(10).split(0.7)
    expect([first.length, second.length]).toEqual([7, 3])
    expect(await epochOf(second.concatenate(first.slice(5)), 0)).toEqual([7, 8, 9, 5, 6])
    expect(numbers(3).slice(2, 9).length).toBe(1)
    await expect(numbers(3).at(3)).rejects.toThrow(/no item 3 among 3/)
  })

  test('batches hold neighbouring items; the last one is left out or smaller', async () => {
    const pairs = numbers(5).batch(2, { collate: (items) => items.join('+') })
    expect(await epochOf(pairs, 0)).toEqual(['0+1', '2+3'])
    expect(await epochOf(numbers(5).batch(2, { dropLast: false, collate: (items) => items.join('+') }), 0)).toEqual([
      '0+1',
      '2+3',
      '4',
    ])
    expect(() => numbers(5).batch(0)).toThrow(/size must be a whole number from 1 up, got 0/)
  })

  test('rows of arrays are views', async () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6)
    const rows = Dataset.ofRows({ x: { data, shape: [3, 1, 2] }, y: { data: Int32Array.of(7, 8, 9), shape: [3] } })
    const { x, y } = await rows.at(1)
    expect([x, y]).toEqual([
      { data: Float32Array.of(3, 4), shape: [1, 2] },
      { data: Int32Array.of(8), shape: [] },
    ])
    expect(x.data.buffer).toBe(data.buffer)
    expect(() => Dataset.ofRows({ x: { data, shape: [3, 2] }, y: { data, shape: [2, 3] } })).toThrow(
      /x \[3, 2\], y \[2, 3\]/,
    )
  })
})

describe('stackExamples', () => {
  test('puts an axis in front of every leaf and keeps number formats', async () => {
    const batch = stackExamples([
      { image: { data: Uint8Array.of(1, 2), shape: [1, 2] }, label: 3, parts: [Int32Array.of(1)] as const },
      { image: { data: Uint8Array.of(3, 4), shape: [1, 2] }, label: 4, parts: [Int32Array.of(2)] as const },
    ])
    const { image, label, parts } = toTensors(batch)
    expect([image.dtype, image.shape, [...(await image.data())]]).toEqual(['u8', [2, 1, 2], [1, 2, 3, 4]])
    expect([label.dtype, label.shape, [...(await label.data())]]).toEqual(['f32', [2], [3, 4]])
    expect([parts[0].dtype, parts[0].shape]).toEqual(['i32', [2, 1]])
  })

  test('says what does not fit', () => {
    expect(() => stackExamples([])).toThrow(/at least one example/)
    expect(() => stackExamples([{ a: [1, 2] }, { a: [1] }])).toThrow(/the example\.a has \[0, 1\] once and \[0\]/)
    expect(() => stackExamples([{ a: Float32Array.of(1) }, { a: Float32Array.of(1, 2) }])).toThrow(
      /the example\.a is Float32Array\[1\] once and Float32Array\[2\]/,
    )
    expect(() => stackExamples([{ a: Float32Array.of(1) }, { a: Int32Array.of(1) }])).toThrow(/Int32Array\[1\]/)
    expect(() => stackExamples([{ a: 'text' }])).toThrow(/the example\.a is string/)
  })
})

describe('Loader', () => {
  test('goes on at any step as if it had never stopped', async () => {
    const dataset = numbers(7)
      .shuffle(5)
      .map((x, { random }) => x + random())
      .batch(2, { collate: (items) => items.join() })
    const all: string[] = []
    for await (const batch of new Loader(dataset, { steps: 11 })) all.push(batch)
    expect(all).toHaveLength(11)
    expect(new Set(all).size).toBe(11)
    for (const start of [0, 1, 3, 10]) {
      const rest: string[] = []
      for await (const batch of new Loader(dataset, { steps: 11, start, prefetch: 4 })) rest.push(batch)
      expect(rest).toEqual(all.slice(start))
    }
    const loader = new Loader(dataset, { steps: 11 })
    for await (const _ of loader) if (loader.step === 4) break
    const rest: string[] = []
    for await (const batch of loader) rest.push(batch)
    expect(rest).toEqual(all.slice(4))
  })

  test('makes items ahead, at the same time, and each once', async () => {
    let running = 0
    let most = 0
    const made: number[] = []
    const slow = numbers(6).map(async (x) => {
      made.push(x)
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 1))
      running--
      return x
    })
    const seen: number[] = []
    for await (const x of new Loader(slow, { prefetch: 3 })) seen.push(x)
    expect(seen).toEqual([0, 1, 2, 3, 4, 5])
    expect(made).toEqual(seen)
    expect(most).toBe(4)
  })

  test('reports a failure at its own step', async () => {
    const broken = numbers(4).map((x) => {
      if (x === 2) throw new Error('item 2 is broken')
      return x
    })
    const loader = new Loader(broken, { prefetch: 3 })
    expect([await loader.at(0), await loader.at(1)]).toEqual([0, 1])
    await expect(loader.at(2)).rejects.toThrow('item 2 is broken')
    expect(await loader.at(3)).toBe(3)
    expect(() => new Loader(numbers(0))).toThrow(/empty/)
  })

  test('feeds train', async () => {
    const points = Dataset.of(Array.from({ length: 32 }, (_, i) => ({ x: [i / 16 - 1], y: [i / 8 - 1] })))
    const loader = new Loader(
      points
        .shuffle(0)
        .batch(8)
        .map(({ x, y }) => ({ x: toTensors(x)[0]!.unsqueeze(1), y: toTensors(y)[0]!.unsqueeze(1) })),
      {
        steps: 40,
      },
    )
    const model = new Linear(1, 1, { key: randomKey(0) })
    const result = await train({
      model,
      optimizer: new Sgd(model, { learningRate: 0.3 }),
      batch: loader.at,
      loss: (m, { x, y }) => meanSquaredError(m.forward(x), y),
      steps: 40,
    })
    expect(result.loss).toBeLessThan(1e-3)
  })
})
