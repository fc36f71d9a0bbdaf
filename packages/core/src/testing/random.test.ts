import { expect, it } from 'vitest'
import { createRandom, randomStorage, seedFor, toStorage } from './random.ts'

it('one seed gives one sequence', () => {
  const draw = (seed: number): number[] => {
    const random = createRandom(seed)
    return Array.from({ length: 4 }, () => random.unit())
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  // Mulberry32 of seed 1, as published.
  expect(draw(1)[0]).toBe(2693262067 / 2 ** 32)
})

it('draws have the moments of their distributions', () => {
  const random = createRandom(3)
  const moments = (draw: () => number): [number, number] => {
    const values = Array.from({ length: 20000 }, draw)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length]
  }
  const [uniform, variance] = moments(() => random.uniform(2, 4))
  expect(uniform).toBeCloseTo(3, 1)
  expect(variance).toBeCloseTo(4 / 12, 1)
  const [mean, spread] = moments(() => random.normal())
  expect(mean).toBeCloseTo(0, 1)
  expect(spread).toBeCloseTo(1, 1)
  const integers = new Set(Array.from({ length: 1000 }, () => random.integer(-1, 2)))
  expect([...integers].sort()).toEqual([-1, 0, 1, 2])
})

it('names have seeds of their own', () => {
  expect(new Set(['a', 'b', 'ab', 'ba'].map((name) => seedFor(name, 1))).size).toBe(4)
  expect(seedFor('a', 1)).not.toBe(seedFor('a', 2))
})

it('storage holds numbers in their format', () => {
  expect(toStorage('f16', [1, -2])).toEqual(Uint16Array.of(0x3c00, 0xc000))
  expect(toStorage('f32', [0.1])).toEqual(Float32Array.of(0.1))
  const bytes = randomStorage(createRandom(4), 'bool', 500)
  expect(new Set(bytes)).toEqual(new Set([0, 1]))
  const words = randomStorage(createRandom(4), 'u32', 500)
  expect(Math.max(...words)).toBeGreaterThan(2 ** 31)
})
