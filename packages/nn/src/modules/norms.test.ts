import { grad, jit, randomKey, randomNormal, type Tensor, tensor } from '@tessera/core'
import { checkGradient } from '@tessera/core/testing'
import { describe, expect, test } from 'vitest'
import { captureCheckpoint } from '../checkpoints/checkpoint.ts'
import { BatchNorm, GroupNorm, InstanceNorm } from './channel-norms.ts'
import type { Layer } from './module.ts'
import { RmsNorm } from './rms-norm.ts'

const shape = [3, 4, 2, 5] as const
const [batch, channels, height, width] = shape
const area = height * width
const count = batch * channels * area
const input = (seed: number) =>
  Float64Array.from({ length: count }, (_, i) => 2 * Math.sin(seed + i * 1.37) + (i % 7) / 3)
const gains = [1, 0.5, -2, 3]
const biases = [0, 1, -1, 0.25]

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const variance = (values: readonly number[], center = mean(values)) =>
  mean(values.map((value) => (value - center) ** 2))
const channelOf = (i: number) => Math.floor(i / area) % channels
const exampleOf = (i: number) => Math.floor(i / (area * channels))

/** Standardises the elements of each group in double precision. */
function standardized(x: ArrayLike<number>, groupOf: (i: number) => number, affine = true, epsilon = 1e-5): number[] {
  const values = Array.from(x)
  const groups = Map.groupBy(values.keys(), groupOf)
  const result = new Array<number>(values.length)
  for (const indices of groups.values()) {
    const members = indices.map((i) => values[i]!)
    const [center, deviation] = [mean(members), Math.sqrt(variance(members) + epsilon)]
    for (const i of indices) {
      const y = (values[i]! - center) / deviation
      result[i] = affine ? y * gains[channelOf(i)]! + biases[channelOf(i)]! : y
    }
  }
  return result
}

async function expectClose(actual: Tensor, wanted: readonly number[], tolerance = 2e-5): Promise<void> {
  const values = await actual.data()
  expect(values).toHaveLength(wanted.length)
  for (const [i, value] of values.entries())
    expect(Math.abs(value - wanted[i]!), `element ${i}`).toBeLessThan(tolerance)
}

/** With gains and biases that are exact in f32, so that f64 inputs give f64 results. */
function affine<Norm extends BatchNorm | GroupNorm>(norm: Norm): Norm {
  norm.gain = tensor(gains)
  norm.bias = tensor(biases)
  return norm
}

const norms: Record<string, { make: () => Layer; groupOf: (i: number) => number; affine?: boolean }> = {
  BatchNorm: { make: () => affine(new BatchNorm(channels)), groupOf: channelOf },
  GroupNorm: { make: () => affine(new GroupNorm(2, channels)), groupOf: (i) => exampleOf(i) * 2 + (channelOf(i) >> 1) },
  'GroupNorm with one group': { make: () => affine(new GroupNorm(1, channels)), groupOf: exampleOf },
  InstanceNorm: {
    make: () => new InstanceNorm(channels),
    groupOf: (i) => exampleOf(i) * channels + channelOf(i),
    affine: false,
  },
}

for (const [name, { make, groupOf, affine: isAffine = true }] of Object.entries(norms)) {
  describe(name, () => {
    test('standardises its groups, also transposed ones', async () => {
      const x = input(1)
      const wanted = standardized(x, groupOf, isAffine)
      await expectClose(make().forward(tensor(Float32Array.from(x), shape)), wanted)
      const turned = tensor(Float32Array.from(x), shape).transpose([0, 1, 3, 2]).realize().transpose([0, 1, 3, 2])
      await expectClose(make().forward(turned), wanted)
      await expectClose(make().forward(tensor(x, shape)), wanted, 1e-11)
    })

    test('has the gradient of its formula', async () => {
      const weights = input(9)
      await checkGradient({
        evaluate: ([x]) => standardized(x!, groupOf, isAffine).reduce((sum, y, i) => sum + y * weights[i]!, 0),
        gradient: async ([x]) => {
          const loss = (value: Tensor) => make().forward(value).multiply(tensor(weights, shape)).sum()
          return [await grad(loss)(tensor(x!, shape)).data()]
        },
        inputs: [input(1)],
      })
    })
  })
}

describe('BatchNorm', () => {
  test('follows the statistics of batches in one program, and uses them for inference', async () => {
    const norm = affine(new BatchNorm(channels, { momentum: 0.3 }))
    const step = jit((norm: BatchNorm, x: Tensor) => norm.forward(x))
    let [means, variances] = [new Array<number>(channels).fill(0), new Array<number>(channels).fill(1)]
    for (let i = 0; i < 3; i++) {
      const x = input(i)
      step(norm, tensor(Float32Array.from(x), shape))
      const members = (channel: number) => Array.from(x).filter((_, index) => channelOf(index) === channel)
      const n = batch * area
      means = means.map((value, channel) => 0.7 * value + 0.3 * mean(members(channel)))
      variances = variances.map((value, channel) => 0.7 * value + (0.3 * variance(members(channel)) * n) / (n - 1))
    }
    expect(step.compilations).toBe(1)
    await expectClose(norm.runningMean, means)
    await expectClose(norm.runningVariance, variances)
    norm.eval()
    const x = input(7)
    const wanted = Array.from(x, (value, i) => {
      const channel = channelOf(i)
      return ((value - means[channel]!) / Math.sqrt(variances[channel]! + 1e-5)) * gains[channel]! + biases[channel]!
    })
    await expectClose(step(norm, tensor(Float32Array.from(x), shape)), wanted)
    await expectClose(norm.runningMean, means)
  })

  test('takes batches of vectors; statistics are no parameters but stand in checkpoints', async () => {
    const norm = new BatchNorm(2)
    await expectClose(
      norm.forward(
        tensor([
          [1, 5],
          [3, 5],
        ]),
      ),
      [-1, 0, 1, 0],
    )
    expect(Object.keys(norm.parameters())).toEqual(['gain', 'bias'])
    const { tensors } = await captureCheckpoint({ norm }, { step: 0 })
    expect([...tensors.keys()]).toEqual(['norm.gain', 'norm.bias', 'norm.runningMean', 'norm.runningVariance'])
  })

  test('a batch of one number leaves finite statistics', async () => {
    const norm = new BatchNorm(1)
    await expectClose(norm.forward(tensor([[4]])), [0])
    expect(await norm.runningVariance.item()).toBeCloseTo(0.9, 6)
  })
})

test('RmsNorm divides by the root mean square', async () => {
  const norm = new RmsNorm(3, { epsilon: 0.5 })
  norm.gain = tensor([1, 2, -1])
  const rows = [
    [1, 2, 3],
    [0, 0, 0],
    [-4, 0.5, 1],
  ]
  const wanted = rows.flatMap((row) =>
    row.map((x, j) => (x * [1, 2, -1][j]!) / Math.sqrt(mean(row.map((y) => y * y)) + 0.5)),
  )
  await expectClose(norm.forward(tensor(rows)), wanted)
  expect(Object.keys(new RmsNorm(3, { gain: false }).parameters())).toEqual([])
  const x = randomNormal(randomKey(0), [8, 64], 0, 100)
  const squares = await new RmsNorm(64).forward(x).square().mean(-1).data()
  for (const square of squares) expect(square).toBeCloseTo(1, 4)
})

test('what does not fit is refused', () => {
  expect(() => new GroupNorm(3, 4)).toThrow(/3 groups must divide the 4 channels/)
  expect(() => new BatchNorm(4).forward(tensor([[1, 2, 3]]))).toThrow(
    /BatchNorm: takes \[batch, 4 channels.*f32\[1, 3\]/,
  )
  expect(() => new InstanceNorm(0)).toThrow(/InstanceNorm: channels/)
  expect(() => new BatchNorm(2, { momentum: 0 })).toThrow(/momentum must be above 0/)
})
