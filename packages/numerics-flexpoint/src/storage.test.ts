import { wasm } from '@tessera/backend-wasm'
import {
  createRuntime,
  crossEntropyLosses,
  type FormatPolicy,
  formatPolicy,
  jit,
  type Plugin,
  randomKey,
  randomNormal,
  referencePlugin,
  type Tensor,
  type TensorFormat,
  tensor,
  valueAndGrad,
} from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { flexpoint, floatFormat } from './index.ts'

interface Deep {
  layers: Tensor[]
  momenta: Tensor[]
}

/** A network of square layers with a residual connection each, and SGD with momentum. */
function deepNetwork(width: number, depth: number): Deep {
  const layers = Array.from({ length: depth }, (_, i) =>
    randomNormal(randomKey(i), [width, width], 0, 0.7 / Math.sqrt(width)).realize(),
  )
  return { layers, momenta: layers.map((layer) => layer.multiply(0).realize()) }
}

const makeStep = (policy: FormatPolicy | undefined) =>
  jit(
    (network: Deep, x: Tensor, labels: Tensor) => {
      const { value, gradients } = valueAndGrad({ layers: network.layers }, ({ layers }) => {
        const result = layers.reduce(
          (h, layer, i) => (i % 2 ? h.matmul(layer).gelu().add(h) : h.matmul(layer).relu()),
          x,
        )
        return crossEntropyLosses(result, labels).mean()
      })
      network.momenta = network.momenta.map((momentum, i) => momentum.multiply(0.9).add(gradients.layers[i]!))
      network.layers = network.layers.map((layer, i) => layer.subtract(network.momenta[i]!.multiply(0.05)))
      return value
    },
    policy ? { policy } : {},
  )

const temporaries = (explained: string) => Number(/memory: ([\d.]+) KiB for temporaries/.exec(explained)![1])

async function train(policy: FormatPolicy | undefined, steps: number, width = 16, batch = 32, depth = 4) {
  const network = deepNetwork(width, depth)
  const x = randomNormal(randomKey(77), [batch, width]).realize()
  const labels = x.argMax(1).realize()
  const step = makeStep(policy)
  const losses: number[] = []
  for (let i = 0; i < steps; i++) losses.push(await step(network, x, labels).item())
  return { losses, network, step, x, labels }
}

const backends: Record<string, () => Plugin> = {
  reference: () => referencePlugin,
  'wasm, 1 thread': () => wasm({ threads: 1 }),
  'wasm, 3 threads': () => wasm({ threads: 3 }),
  'wasm, plain': () => wasm({ threads: 1, variant: 'plain' }),
}

describe.each(Object.entries(backends))('storage in 16 and 8 bits on %s', (_, plugin) => {
  it('trains to the bit as the same format in f32 memory', async () => {
    const runtime = await createRuntime({ use: [plugin()] })
    const policies: ((storage: boolean) => FormatPolicy)[] = [
      (storage) => flexpoint({ bits: 16, storage }),
      (storage) => flexpoint({ bits: 8, storage }),
      (storage) => formatPolicy(floatFormat('bf16'), { storage }),
    ]
    for (const policyOf of policies) {
      const [stored, simulated] = [await train(policyOf(true), 8), await train(policyOf(false), 8)]
      // Sums may be ordered otherwise where loops are cut otherwise: numbers on the edge of two mantissas move by one.
      for (const [i, loss] of simulated.losses.entries()) expect(Math.abs(stored.losses[i]! - loss)).toBeLessThan(2e-2)
      expect(stored.losses.at(-1)!).toBeLessThan(stored.losses[0]!)
    }
    await runtime.close()
  })

  it('keeps weights and momenta in half the memory, and gives their values to who asks', async () => {
    const runtime = await createRuntime({ use: [plugin()] })
    const policy = flexpoint({ bits: 16 })
    const { network, step, x, labels } = await train(policy, 3)
    const before = runtime.device.memory().usedBytes
    const values = await network.layers[0]!.data()
    const [places] = await policy.report()
    const { scale } = places!.find(({ kind }) => kind === 'update')!
    for (const value of values) expect(Number.isInteger(value / (scale / 4))).toBe(true)
    // The values that were read are in memory too now, 4 bytes each.
    expect(runtime.device.memory().usedBytes).toBeGreaterThanOrEqual(before + 4 * values.length)
    const changed = await step(network, x, labels).item()
    expect(Number.isFinite(changed)).toBe(true)
    await runtime.close()
  })

  it('does not depend on whether somebody reads the weights', async () => {
    const runtime = await createRuntime({ use: [plugin()] })
    const run = async (reads: boolean) => {
      const network = deepNetwork(8, 2)
      const x = randomNormal(randomKey(3), [16, 8]).realize()
      const labels = x.argMax(1).realize()
      const step = makeStep(flexpoint({ bits: 16 }))
      const losses: number[] = []
      for (let i = 0; i < 6; i++) {
        losses.push(await step(network, x, labels).item())
        if (reads) for (const layer of network.layers) await layer.data()
      }
      return losses
    }
    expect(await run(true)).toEqual(await run(false))
    await runtime.close()
  })

  it('takes weights from elsewhere without overflow', async () => {
    const runtime = await createRuntime({ use: [plugin()] })
    const policy = flexpoint({ bits: 16 })
    const { network, step, x, labels } = await train(policy, 3)
    // A thousand times as large as the scale of the last call holds.
    const large = (await network.layers[0]!.data()).map((value) => 1000 * value) as Float32Array
    network.layers[0] = tensor(large, [16, 16])
    step(network, x, labels)
    const after = await network.layers[0]!.data()
    const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs))
    // The update place saturates at its predicted scale, is counted, and recovers; the argument itself was not cut off before.
    expect(largest(after)).toBeGreaterThan(0)
    const [places] = await policy.report()
    expect(places!.some(({ kind, overflows }) => kind === 'update' && overflows > 0)).toBe(true)
    await runtime.close()
  })
})

it('plans at most 0.6 of the memory of f32 for a training step', async () => {
  const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
  const size = [3, 64, 512, 12] as const
  const [plain, stored] = [await train(undefined, ...size), await train(flexpoint({ bits: 16 }), ...size)]
  const ratio = temporaries(stored.step.explain()) / temporaries(plain.step.explain())
  expect(ratio).toBeLessThanOrEqual(0.6)
  expect(Math.abs(stored.losses[2]! - plain.losses[2]!)).toBeLessThan(1e-2)
  await runtime.close()
})

it('says what a format’s storage does wrong', () => {
  const x = tensor([
    [1, 2],
    [3, 4],
  ])
  const run = (format: Partial<TensorFormat>) =>
    jit((y: Tensor) => y.matmul(y), {
      policy: formatPolicy({ name: 'odd', bits: 16, round: (y) => ({ value: y }), ...format }),
    })(x)
  const storage = { dtype: 'i16', decode: (stored: Tensor) => stored.cast('f32') } as const
  expect(() => run({ storage })).toThrow(/round must give i16\[2, 2\] as stored, it gave nothing/)
  expect(() =>
    run({
      round: (y) => ({ value: y, stored: y.cast('i16') }),
      storage: { dtype: 'i16', decode: (stored) => stored.cast('f32').sum() },
    }),
  ).toThrow(/decode must give f32 of the shape of i16\[2, 2\], it gave f32\[\]/)
})
