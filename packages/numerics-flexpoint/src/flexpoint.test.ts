import { wasm } from '@tessera/backend-wasm'
import {
  createRuntime,
  crossEntropyLosses,
  type FormatPolicy,
  formatPolicy,
  jit,
  type Plugin,
  type RoundedPlace,
  randomKey,
  randomNormal,
  referencePlugin,
  type Tensor,
  type TensorFormat,
  tensor,
  valueAndGrad,
} from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { Autoflex, blockFormat, flexFormat, flexpoint, floatFormat, roundToFloat } from './index.ts'

interface Network {
  first: Tensor
  second: Tensor
}

/** Two classes of points by a two-layer network; gives the losses of its steps. */
async function train(policy: FormatPolicy | undefined, steps: number): Promise<{ losses: number[]; network: Network }> {
  const network: Network = {
    first: randomNormal(randomKey(1), [8, 32], 0, 0.3).realize(),
    second: randomNormal(randomKey(2), [32, 4], 0, 0.2).realize(),
  }
  const x = randomNormal(randomKey(3), [64, 8]).realize()
  const labels = x.slice(1, 0, 4).argMax(1).realize()
  const step = jit(
    (network: Network, x: Tensor, labels: Tensor) => {
      const { value, gradients } = valueAndGrad(network, ({ first, second }) =>
        crossEntropyLosses(x.matmul(first).relu().matmul(second), labels).mean(),
      )
      network.first = network.first.subtract(gradients.first.multiply(0.3))
      network.second = network.second.subtract(gradients.second.multiply(0.3))
      return value
    },
    policy ? { policy } : {},
  )
  const losses: number[] = []
  for (let i = 0; i < steps; i++) losses.push(await step(network, x, labels).item())
  return { losses, network }
}

const backends: Record<string, () => Plugin> = {
  reference: () => referencePlugin,
  'wasm, 1 thread': () => wasm({ threads: 1 }),
  'wasm, 2 threads': () => wasm({ threads: 2 }),
}

describe.each(Object.entries(backends))('flexpoint on %s', (_, plugin) => {
  it('trains a network as f32 does, without overflows', async () => {
    const runtime = await createRuntime({ use: [plugin()] })
    const policy = flexpoint({ bits: 16, exponentBits: 5 })
    const [plain, flex] = [await train(undefined, 30), await train(policy, 30)]
    expect(flex.losses.at(-1)!).toBeLessThan(0.8 * flex.losses[0]!)
    for (const [i, loss] of plain.losses.entries()) expect(Math.abs(flex.losses[i]! - loss)).toBeLessThan(2e-3)
    const [places] = await policy.report()
    // The input and both weights, two products, the activation, the gradient of the scores, three products backward, two updates.
    expect(places!.length).toBeGreaterThanOrEqual(10)
    const kinds = places!.map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'initial')).toHaveLength(2)
    expect(kinds.filter((kind) => kind === 'update')).toHaveLength(2)
    for (const { kind, uses, overflows, unusable, usedBits } of places!) {
      expect(uses).toBe(kind === 'initial' ? 1 : 30)
      expect([overflows, unusable]).toEqual([0, 0])
      expect(usedBits).toBeGreaterThan(12)
      expect(usedBits).toBeLessThanOrEqual(16)
    }
    // The weights hold no other numbers than mantissas times the scale.
    const update = places!.filter(({ kind }) => kind === 'update')
    for (const [i, weight] of [flex.network.first, flex.network.second].entries()) {
      const place = update.find(({ shape }) => shape.join() === weight.shape.join())!
      const values = await weight.data()
      expect(i).toBeGreaterThanOrEqual(0)
      // The scale may have changed since by Autoflex, by a power of two.
      for (const value of values) expect(Number.isInteger(value / (place.scale / 4))).toBe(true)
    }
    await runtime.close()
  })

  it('coarse formats are worse, and 8 bits worst', async () => {
    const runtime = await createRuntime({ use: [plugin()] })
    const plain = await train(undefined, 20)
    const distance = async (policy: FormatPolicy) => {
      const { losses } = await train(policy, 20)
      return losses.reduce((sum, loss, i) => sum + Math.abs(loss - plain.losses[i]!), 0)
    }
    const [wide, narrow] = [await distance(flexpoint({ bits: 16 })), await distance(flexpoint({ bits: 8 }))]
    expect(wide).toBeLessThan(0.1 * narrow)
    expect(await distance(formatPolicy(floatFormat('f16')))).toBeLessThan(0.1 * narrow)
    expect(await distance(formatPolicy(floatFormat('bf16')))).toBeLessThan(narrow)
    // Updates smaller than a step of so few bits would vanish, so the weights stay wide.
    const except = ({ kind }: RoundedPlace) => kind === 'update'
    for (const name of ['mxfp8', 'mxfp6', 'mxint8'] as const) {
      expect(await distance(formatPolicy(blockFormat(name), { except }))).toBeLessThan(1)
    }
    await runtime.close()
  })
})

describe('the format', () => {
  it('initialises and updates as Autoflex does', async () => {
    const format = flexFormat({ length: 4 })
    let seed = 7
    const next = () => {
      seed = (seed * 16807) % 2147483647
      return seed / 2147483647
    }
    for (const size of [0, 1e-8, 3e-5, 0.1, 0.5, 1, 2.4, 700, 30000]) {
      const autoflex = new Autoflex({ length: 4 })
      autoflex.initialize((scale) => Math.min(Math.round(size / scale), 32767))
      const start = await format.initialize!(tensor([size, -size / 3])).data()
      expect(start[0]).toBe(autoflex.scale)
    }
    const autoflex = new Autoflex({ length: 4 })
    let state = format.initialize!(tensor([1]))
    autoflex.initialize((scale) => Math.round(1 / scale))
    for (let step = 0; step < 40; step++) {
      const value = Math.fround(Math.exp(2 * next()) * (step % 13 === 0 ? 50 : 1))
      const { value: rounded, statistic } = format.round(tensor([value, -value / 2]), state)
      const largest = Math.min(Math.round(value / autoflex.scale), 32767)
      expect(await statistic!.item()).toBe(largest)
      expect((await rounded.data())[0]).toBe(largest * autoflex.scale)
      autoflex.record(largest)
      state = format.update!(state.unsqueeze(0), statistic!.reshape([1]))
        .select(0, 0)
        .realize()
      expect((await state.data())[0]).toBe(autoflex.scale)
    }
  })

  it('counts tensors that are not numbers, and learns nothing from them', async () => {
    const format = flexFormat()
    const state = format.initialize!(tensor([1, 2]))
    const { statistic } = format.round(tensor([1, Number.NaN]), state)
    const after = await format.update!(state.unsqueeze(0), statistic!.reshape([1])).data()
    const before = await state.data()
    expect(after[5]).toBe(1)
    expect(after[0]).toBe(before[0])
  })
})

describe('stochastic rounding', () => {
  it('is right on average, repeatable, and new in every call and place', async () => {
    const values = new Float32Array(4000).fill(0.25)
    const format = flexFormat({ clamp: false, rounding: 'stochastic', seed: 3 })
    const other = flexFormat({ clamp: false, rounding: 'stochastic', seed: 4 })
    const state = (uses: number) => {
      const numbers = new Float32Array(format.stateSize!)
      numbers[0] = 1
      numbers[4] = uses
      return tensor(numbers)
    }
    const found: string[][] = []
    for (const plugin of Object.values(backends)) {
      const runtime = await createRuntime({ use: [plugin()] })
      const draw = async (of: TensorFormat, uses: number, place: number) =>
        (await of.round(tensor(values), state(uses), place).value.data()).join('')
      const drawn = [
        await draw(format, 0, 0),
        await draw(format, 0, 0),
        await draw(format, 1, 0),
        await draw(format, 0, 1),
        await draw(other, 0, 0),
      ]
      expect(drawn[1]).toBe(drawn[0])
      expect(new Set(drawn).size).toBe(4)
      const ones = [...drawn[0]!].filter((digit) => digit === '1').length
      // Four standard deviations of 4000 draws.
      expect(Math.abs(ones - 1000)).toBeLessThan(110)
      found.push(drawn)
      // Numbers of the format stay.
      const held = tensor([30000, -3, 0, 7])
      expect([...(await format.round(held, state(2)).value.data())]).toEqual([30000, -3, 0, 7])
      await runtime.close()
    }
    for (const drawn of found) expect(drawn).toEqual(found[0])
  })

  it('trains', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
    const [plain, stochastic] = [await train(undefined, 20), await train(flexpoint({ rounding: 'stochastic' }), 20)]
    for (const [i, loss] of plain.losses.entries()) expect(Math.abs(stochastic.losses[i]! - loss)).toBeLessThan(5e-3)
    expect(() => flexpoint({ seed: -1 })).toThrow(/seed must be an integer ≥ 0, got -1/)
    await runtime.close()
  })
})

describe('bad input', () => {
  it('exponents at their limit saturate and are counted in every use', async () => {
    const runtime = await createRuntime()
    const policy = flexpoint({ bits: 16, exponentBits: 5 })
    const product = jit((a: Tensor, b: Tensor) => a.matmul(b), { policy })
    // Scales end at 1, so that 32767 is the largest number.
    for (let i = 0; i < 4; i++) {
      const result = await product(
        tensor([[1e6]])
          .expand([2, 1])
          .realize(),
        tensor([[1, 2]]),
      ).data()
      expect([...result]).toEqual([32767, 32767, 32767, 32767])
    }
    const [places] = await policy.report()
    expect(places!.filter(({ overflows }) => overflows === 4).map(({ op, scale }) => [op, scale])).toEqual([
      ['leaf', 1],
      ['matmul', 1],
    ])
    await runtime.close()
  })

  it('tensors of NaN and infinities are counted as unusable', async () => {
    const runtime = await createRuntime()
    const policy = flexpoint()
    const product = jit((a: Tensor, b: Tensor) => a.matmul(b), { policy })
    const b = tensor([
      [1, 2],
      [3, 4],
    ])
    for (const bad of [1, Number.NaN, Number.POSITIVE_INFINITY]) await product(tensor([[bad, 0.5]]), b).data()
    const [places] = await policy.report()
    const [input] = places!
    // NaN has no statistics; an infinity saturates.
    expect([input!.unusable, input!.overflows]).toEqual([1, 1])
    await runtime.close()
  })
})

describe('state', () => {
  it('goes into a checkpoint and on from there', async () => {
    const runtime = await createRuntime()
    const product = (policy: FormatPolicy) => jit((a: Tensor, b: Tensor) => a.matmul(b), { policy })
    const at = (i: number) => randomNormal(randomKey(i), [4, 4]).realize()
    const policy = flexpoint()
    const run = product(policy)
    for (let i = 0; i < 5; i++) run(at(i), at(i + 9))
    expect(run.compilations).toBe(2)
    const saved = Object.fromEntries(
      await Promise.all(
        Object.entries(policy.state()).map(
          async ([key, value]) => [key, tensor(await value.data(), value.shape)] as const,
        ),
      ),
    )
    const resumed = flexpoint()
    resumed.restore(saved)
    const again = product(resumed)
    const [a, b] = [await run(at(50), at(51)).data(), await again(at(50), at(51)).data()]
    expect([...b]).toEqual([...a])
    expect(again.compilations).toBe(1)
    const other = flexpoint()
    other.restore(saved)
    expect(() => jit((a: Tensor) => a.matmul(a).matmul(a).matmul(a), { policy: other })(at(1))).toThrow(
      /saved state is for 3 tensors/,
    )
    await runtime.close()
  })

  it('leaves out what it is told to', async () => {
    const policy = flexpoint({ except: ({ op }) => op === 'leaf' })
    const run = jit((a: Tensor, b: Tensor) => a.matmul(b), { policy })
    await run(
      tensor([[0.1]])
        .expand([2, 2])
        .realize(),
      tensor([
        [1, 2],
        [3, 4],
      ]),
    ).data()
    expect((await policy.report())[0]!.map(({ op }) => op)).toEqual(['matmul'])
  })
})

describe('floating-point formats', () => {
  it('round as the formats of core do', async () => {
    const values = [
      0,
      1,
      -1.0004883,
      1.00048828125,
      65504,
      65519.99,
      65520,
      1e-8,
      6e-8,
      5.96e-8,
      -3.1e-5,
      1e30,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
    ]
    const runtime = await createRuntime()
    for (const name of ['f16', 'bf16'] as const) {
      const rounded = await floatFormat(name).round(tensor(values)).value.data()
      const expected = await tensor(values).cast(name).cast('f32').data()
      expect([...rounded]).toEqual([...expected])
    }
    await runtime.close()
  })

  it('hold the numbers that the specification lists', async () => {
    // Table of all E2M1 numbers, and of E2M3's smallest ones.
    const grid = await roundToFloat(tensor([0.2, 0.3, 0.9, 1.2, 1.3, 2.4, 2.6, 5.1, 9]), {
      exponentBits: 2,
      mantissaBits: 1,
      largest: 6,
      overflow: 'saturate',
    }).data()
    expect([...grid]).toEqual([0, 0.5, 1, 1, 1.5, 2, 3, 6, 6])
  })

  it.each(['mxfp8', 'mxfp6', 'mxfp4', 'mxint8'] as const)('%s shares a scale in each block', async (name) => {
    const format = blockFormat(name, 4)
    const x = tensor([[1, 0.5, 0.25, 0.75, 1024, 512, 256, 768, 3e-5, 0, 0]])
    const { value } = format.round(x)
    const [exact] = [await value.data()]
    // Powers of two and sums of two of them are exact in every element format with at least a bit of mantissa.
    expect([...exact].slice(0, 8)).toEqual([1, 0.5, 0.25, 0.75, 1024, 512, 256, 768])
    expect([...(await format.round(value).value.data())]).toEqual([...exact])
  })
})
