import { jit, randomKey, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { expect, test } from 'vitest'
import { meanSquaredError } from '../losses/regression.ts'
import { Linear } from '../modules/linear.ts'
import { GradientAccumulator } from './accumulate.ts'

const x = [
  [1, 2],
  [3, -1],
  [0.5, 0.25],
  [-2, 1],
  [4, 4],
  [1, 0],
]
const y = [[1], [0], [2], [-1], [0.5], [3]]

test('the mean over small batches is the gradient of the large one, and compiles once', async () => {
  const model = new Linear(2, 1, { key: randomKey(0) })
  const gradientsOf = (m: Linear, xs: Tensor, ys: Tensor) =>
    valueAndGrad(m.parameters(), () => meanSquaredError(m.forward(xs), ys)).gradients
  const accumulator = new GradientAccumulator(model)
  const add = jit((m: Linear, a: GradientAccumulator, xs: Tensor, ys: Tensor) => a.add(gradientsOf(m, xs, ys)))
  const take = jit((a: GradientAccumulator) => a.take())
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 6; i += 2) add(model, accumulator, tensor(x.slice(i, i + 2)), tensor(y.slice(i, i + 2)))
    expect(await accumulator.count.item()).toBe(3)
    const means = take(accumulator)
    const whole = gradientsOf(model, tensor(x), tensor(y))
    for (const name of ['weight', 'bias']) {
      const wanted = await whole[name]!.data()
      for (const [i, value] of (await means[name]!.data()).entries()) expect(value).toBeCloseTo(wanted[i]!, 5)
    }
    expect(await accumulator.count.item()).toBe(0)
  }
  expect([add.compilations, take.compilations]).toEqual([1, 1])
  expect([...(await take(accumulator).weight!.data())]).toEqual([0, 0])
})

test('sums of small formats are f32; a missing gradient is named', async () => {
  const accumulator = new GradientAccumulator({ a: tensor([1]).cast('bf16'), b: tensor([1]) })
  expect(accumulator.sums.a!.dtype).toBe('f32')
  expect(() => accumulator.add({ a: tensor([1]) })).toThrow(/No gradient was given for b/)
})
