import { jit, ones, randomKey, type Tensor } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { Dropout } from './dropout.ts'

const count = 5000

describe('Dropout', () => {
  test('zeroes the right part and keeps the mean', async () => {
    for (const rate of [0.1, 0.5, 0.9]) {
      const values = await new Dropout(rate, { key: randomKey(3) }).forward(ones([count])).data()
      const zeros = values.filter((value) => value === 0).length
      // Five standard deviations of a binomial distribution.
      expect(Math.abs(zeros - rate * count)).toBeLessThan(5 * Math.sqrt(count * rate * (1 - rate)))
      expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / (1 - rate))]))
    }
  })

  test('uses its key once: every pass has a mask of its own, the same from the same key', async () => {
    const masks = async () => {
      const dropout = new Dropout(0.5, { key: randomKey(9) })
      const run = jit((layer: Dropout, x: Tensor) => layer.forward(x))
      const results: string[] = []
      for (let i = 0; i < 4; i++) results.push((await run(dropout, ones([64])).data()).join(''))
      expect(run.compilations).toBe(1)
      return results
    }
    const first = await masks()
    expect(new Set(first).size).toBe(4)
    expect(await masks()).toEqual(first)
  })

  test('gives the same masks with and without jit', async () => {
    const eager = new Dropout(0.5, { key: randomKey(9) })
    const traced = new Dropout(0.5, { key: randomKey(9) })
    const run = jit((layer: Dropout, x: Tensor) => layer.forward(x))
    for (let i = 0; i < 3; i++) {
      expect(await run(traced, ones([32])).data()).toEqual(await eager.forward(ones([32])).data())
    }
    expect(await traced.key.data()).toEqual(await eager.key.data())
  })

  test('passes everything, and leaves its key, in inference mode and at rate 0', () => {
    const x = ones([4])
    for (const dropout of [new Dropout(0.5, { key: randomKey(1) }).eval(), new Dropout(0, { key: randomKey(1) })]) {
      const { key } = dropout
      expect(dropout.forward(x)).toBe(x)
      expect(dropout.key).toBe(key)
    }
  })

  test('is not trainable and refuses rates out of range', () => {
    expect(new Dropout(0.5, { key: randomKey(1) }).parameters()).toEqual({})
    expect(() => new Dropout(1, { key: randomKey(1) })).toThrow(/below 1, got 1/)
  })
})
