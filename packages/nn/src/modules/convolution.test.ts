import { jit, ones, randomKey, randomNormal, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { Sgd } from '../optimizers/sgd.ts'
import { Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from './convolution.ts'
import { AdaptiveAveragePool, AveragePool, GlobalAveragePool, MaxPool, Upsample } from './pooling.ts'
import { Sequential } from './sequential.ts'
import { Flatten, Residual } from './structure.ts'

const key = randomKey(0)

describe('convolutions', () => {
  test('have the shapes of PyTorch’s weights and outputs', () => {
    const cases = [
      [new Conv1d(4, 6, 3, { key }), [2, 4, 10], [6, 4, 3], [2, 6, 8]],
      [new Conv2d(4, 6, [3, 1], { key, stride: 2, padding: 1, groups: 2 }), [2, 4, 9, 8], [6, 2, 3, 1], [2, 6, 5, 5]],
      [new Conv3d(1, 2, 2, { key, padding: 'same' }), [1, 1, 4, 3, 2], [2, 1, 2, 2, 2], [1, 2, 4, 3, 2]],
      [new ConvTranspose1d(4, 6, 3, { key, stride: 2 }), [2, 4, 5], [4, 6, 3], [2, 6, 11]],
      [
        new ConvTranspose2d(4, 6, 3, { key, stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
        [1, 4, 5, 4],
        [4, 3, 3, 3],
        [1, 6, 10, 8],
      ],
      [new ConvTranspose3d(2, 1, 2, { key, stride: 2 }), [1, 2, 2, 2, 3], [2, 1, 2, 2, 2], [1, 1, 4, 4, 6]],
    ] as const
    for (const [layer, input, weight, output] of cases) {
      expect(layer.weight.shape).toEqual(weight)
      expect(layer.forward(ones(input)).shape).toEqual(output)
    }
  })

  test('multiply windows, add the bias and apply the activation', async () => {
    const layer = new Conv2d(1, 2, 2, { key, activation: 'relu' })
    layer.weight = tensor([1, 2, 3, 4, -1, 0, 0, 1], [2, 1, 2, 2])
    layer.bias = tensor([0.5, -5])
    const x = [
      [1, 2, 0],
      [0, 1, 3],
      [4, 0, 1],
    ]
    const filters = [
      [1, 2, 3, 4],
      [-1, 0, 0, 1],
    ]
    const wanted = filters.flatMap(([a, b, c, d], k) =>
      [0, 1].flatMap((i) =>
        [0, 1].map((j) =>
          Math.max(
            0,
            a! * x[i]![j]! + b! * x[i]![j + 1]! + c! * x[i + 1]![j]! + d! * x[i + 1]![j + 1]! + [0.5, -5][k]!,
          ),
        ),
      ),
    )
    expect([...(await layer.forward(tensor([[x]])).data())]).toEqual(wanted)
    const plain = new Conv2d(1, 2, 2, { key, bias: false })
    expect(Object.keys(plain.parameters())).toEqual(['weight'])
  })

  test('first weights lie within ±1/√(inputs of an output)', async () => {
    const layer = new Conv2d(8, 64, 3, { key, groups: 2 })
    const largest = Math.max(...(await layer.weight.data()).map(Math.abs))
    expect(largest).toBeLessThanOrEqual(1 / 6)
    expect(largest).toBeGreaterThan(0.98 / 6)
  })

  test('sizes that make no layer are refused', () => {
    expect(() => new Conv2d(3, 4, 3, { key, groups: 2 })).toThrow(/2 groups must divide the 3 inputs/)
    expect(() => new Conv2d(3, 4, [3, 3, 3], { key })).toThrow(/\[3, 3, 3\] must have 2 extents/)
    expect(() => new Conv1d(3, 4, 0, { key })).toThrow(/window must be a whole number from 1 up, got 0/)
  })
})

test('pools choose the op by the number of spatial axes', () => {
  for (const spatial of [[8], [8, 6], [4, 6, 8]]) {
    const x = ones([2, 3, ...spatial])
    const halves = [2, 3, ...spatial.map((extent) => extent / 2)]
    expect(new MaxPool(2).forward(x).shape).toEqual(halves)
    expect(new AveragePool(2).forward(x).shape).toEqual(halves)
    expect(new AdaptiveAveragePool(3).forward(x).shape).toEqual([2, 3, ...spatial.map(() => 3)])
    expect(new GlobalAveragePool().forward(x).shape).toEqual([2, 3])
    expect(new Upsample(2).forward(x).shape).toEqual([2, 3, ...spatial.map((extent) => extent * 2)])
  }
  expect(() => new MaxPool(2).forward(ones([2, 3]))).toThrow(
    /MaxPool: takes \[batch, channels, \.\.\.spatial\].*f32\[2, 3\]/,
  )
})

test('a small network learns which half of an image is bright', async () => {
  const model = new Sequential([
    new Conv2d(1, 4, 3, { key: randomKey(1), padding: 1, activation: 'relu' }),
    new MaxPool(2),
    new Residual(new Conv2d(4, 4, 3, { key: randomKey(2), padding: 'same', activation: 'relu' })),
    new Flatten(),
    (x) => x.mean(1),
  ])
  const images = Array.from({ length: 8 }, (_, n) =>
    Array.from({ length: 16 }, (_, i) => (i % 4 < 2 === (n % 2 === 0) ? 1 : 0)),
  )
  const x = tensor(images.flat(), [8, 1, 4, 4])
    .add(randomNormal(randomKey(3), [8, 1, 4, 4], 0, 0.1))
    .realize()
  const y = tensor(images.map((_, n) => n % 2))
  const optimizer = new Sgd(model, { learningRate: 0.3, momentum: 0.9 })
  const step = jit((m: Sequential, sgd: Sgd, x: Tensor, y: Tensor) => {
    const { value, gradients } = valueAndGrad(m.parameters(), () => m.forward(x).subtract(y).square().mean())
    sgd.update(m, gradients)
    return value
  })
  const first = await step(model, optimizer, x, y).item()
  for (let i = 0; i < 60; i++) step(model, optimizer, x, y)
  expect(await step(model, optimizer, x, y).item()).toBeLessThan(first / 10)
  expect(step.compilations).toBe(1)
})
