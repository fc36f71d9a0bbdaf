import { jit, ones, randomKey, randomNormal, type Tensor } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { AlphaDropout, ChannelDropout, DropPath } from './dropout-variants.ts'

describe('what is dropped together', () => {
  test('channels', async () => {
    const values = await new ChannelDropout(0.5, { key: randomKey(1) }).forward(ones([8, 16, 3, 3])).data()
    const channels = Array.from({ length: 128 }, (_, i) => new Set(values.slice(i * 9, i * 9 + 9)))
    expect(channels.every((channel) => channel.size === 1)).toBe(true)
    const dropped = channels.filter((channel) => channel.has(0)).length
    expect(Math.abs(dropped - 64)).toBeLessThan(5 * Math.sqrt(128 / 4))
    expect(new Set(values)).toEqual(new Set([0, 2]))
  })

  test('examples', async () => {
    const values = await new DropPath(0.25, { key: randomKey(1) }).forward(ones([64, 5])).data()
    const examples = Array.from({ length: 64 }, (_, i) => new Set(values.slice(i * 5, i * 5 + 5)))
    expect(examples.every((example) => example.size === 1)).toBe(true)
    expect(Math.abs(examples.filter((example) => example.has(0)).length - 16)).toBeLessThan(5 * Math.sqrt(64 * 0.1875))
  })
})

test('AlphaDropout keeps mean 0 and variance 1', async () => {
  const x = randomNormal(randomKey(2), [6000]).realize()
  for (const rate of [0.1, 0.5]) {
    const y = new AlphaDropout(rate, { key: randomKey(3) }).forward(x).realize()
    // Five standard errors.
    expect(Math.abs(await y.mean().item())).toBeLessThan(0.065)
    expect(Math.abs((await y.variance().item()) - 1)).toBeLessThan(0.12)
  }
})

test('all use a key of their own for each pass, and pass everything in inference', async () => {
  for (const layer of [
    new ChannelDropout(0.5, { key: randomKey(1) }),
    new DropPath(0.5, { key: randomKey(1) }),
    new AlphaDropout(0.5, { key: randomKey(1) }),
  ]) {
    const run = jit((module: typeof layer, x: Tensor) => module.forward(x))
    const passes: string[] = []
    for (let i = 0; i < 3; i++) passes.push((await run(layer, ones([32, 4])).data()).join())
    expect(new Set(passes).size).toBe(3)
    const x = ones([2, 2])
    expect(layer.eval().forward(x)).toBe(x)
  }
  expect(() => new DropPath(1, { key: randomKey(0) })).toThrow(/DropPath: the rate/)
})
