import { jit, type Tensor, tensor } from '@tessera/core'
import { expect, test } from 'vitest'
import { ExponentialMovingAverage } from './exponential-moving-average.ts'

type Model = { x: Tensor }

/** Moves the parameter by 1 at each step and follows with the average. */
const step = jit((model: Model, average: ExponentialMovingAverage) => {
  model.x = model.x.add(1)
  average.update(model)
})

async function follow(options: { decay: number; warmUp?: boolean }): Promise<number[]> {
  const model: Model = { x: tensor([1, -2]) }
  const average = new ExponentialMovingAverage(model, options)
  const values: number[] = []
  for (let i = 0; i < 6; i++) {
    step(model, average)
    values.push((await average.averages.x!.data())[0]!)
  }
  return values
}

function expected(decayAt: (update: number) => number): number[] {
  let average = 1
  return Array.from({ length: 6 }, (_, i) => {
    const decay = decayAt(i + 1)
    average = decay * average + (1 - decay) * (i + 2)
    return average
  })
}

test('follows the formula, starting from the parameters', async () => {
  const wanted = expected(() => 0.75)
  for (const [i, value] of (await follow({ decay: 0.75 })).entries()) expect(value).toBeCloseTo(wanted[i]!, 5)
})

test('forgets the first weights sooner with a warm-up', async () => {
  const wanted = expected((update) => Math.min(0.4, (1 + update) / (10 + update)))
  for (const [i, value] of (await follow({ decay: 0.4, warmUp: true })).entries()) {
    expect(value).toBeCloseTo(wanted[i]!, 5)
  }
})

test('stands in for the parameters for a while, also when the work fails', async () => {
  const model: Model = { x: tensor([1]) }
  const average = new ExponentialMovingAverage(model, { decay: 0.5 })
  step(model, average)
  const parameter = model.x
  expect(await average.within(model, () => model.x.item())).toBe(1.5)
  expect(model.x).toBe(parameter)
  await expect(average.within(model, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await model.x.item()).toBe(2)
})

test('keeps tied parameters tied and compiles once', async () => {
  const shared = tensor([4])
  const model = { a: shared, b: shared }
  const average = new ExponentialMovingAverage(model, { decay: 0.5 })
  expect(Object.keys(average.averages)).toEqual(['a'])
  await average.within(model, () => expect(model.a).toBe(model.b))
  expect(model.b).toBe(shared)
})

test('refuses a decay out of range and a model that it was not made for', () => {
  expect(() => new ExponentialMovingAverage({ x: tensor([1]) }, { decay: 1 })).toThrow(/below 1, got 1/)
  const average = new ExponentialMovingAverage({ x: tensor([1]) }, { decay: 0.5 })
  expect(() => average.update({ y: tensor([1]) })).toThrow(/trainable tensor y/)
})
