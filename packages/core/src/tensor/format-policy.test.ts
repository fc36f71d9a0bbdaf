import { describe, expect, it } from 'vitest'
import {
  checkpoint,
  createRuntime,
  crossEntropyLosses,
  formatPolicy,
  full,
  jit,
  keepWide,
  lossScalePolicy,
  type ProgramPolicy,
  randomKey,
  randomNormal,
  scan,
  type Tensor,
  type TensorFormat,
  tensor,
  valueAndGrad,
} from '../index.ts'
import { testFormat } from '../testing/index.ts'

/**
 * A format from outside: 12 bits, of which one is the sign and eleven are the logarithm to the base 2 in steps of 1/32, from the largest
 * number of the tensor down.
 */
const logarithmic: TensorFormat = {
  name: 'log12',
  bits: 12,
  stateSize: 1,
  initialize: (x) => x.abs().max().cast('f32').reshape([1]),
  round: (x, state) => {
    const largest = state!.select(0, 0).maximum(1e-30)
    const steps = x.abs().divide(largest).log().divide(Math.LN2).multiply(32).round().maximum(-2047).minimum(64)
    const size = steps.divide(32).multiply(Math.LN2).exp().multiply(largest)
    // Numbers below the smallest step become zero.
    const isZero = x.abs().less(largest.multiply(2 ** -63.97))
    const value = x.sign().multiply(size).multiply(isZero.not().cast('f32'))
    return { value, statistic: x.abs().max() }
  },
  update: (_, statistics) => statistics.abs().unsqueeze(1),
}

/** As `logarithmic`, from a scale that is a power of two, so that what it holds is held in every call. */
const onGrid: TensorFormat = {
  ...logarithmic,
  initialize: () => full([1], 64),
  update: (states) => states,
}

testFormat({ format: onGrid, error: 2 ** -6 + 2 ** -12, run: { describe, it } })

async function losses(policy?: ReturnType<typeof formatPolicy>): Promise<number[]> {
  const network = {
    first: randomNormal(randomKey(1), [8, 16], 0, 0.3).realize(),
    second: randomNormal(randomKey(2), [16, 4], 0, 0.2).realize(),
  }
  const x = randomNormal(randomKey(3), [32, 8]).realize()
  const labels = x.slice(1, 0, 4).argMax(1).realize()
  const step = jit(
    (network: { first: Tensor; second: Tensor }, x: Tensor, labels: Tensor) => {
      const { value, gradients } = valueAndGrad(network, ({ first, second }) =>
        crossEntropyLosses(x.matmul(first).relu().matmul(second), labels).mean(),
      )
      network.first = network.first.subtract(gradients.first.multiply(0.5))
      network.second = network.second.subtract(gradients.second.multiply(0.5))
      return value
    },
    policy ? { policy } : {},
  )
  const all: number[] = []
  for (let i = 0; i < 30; i++) all.push(await step(network, x, labels).item())
  return all
}

describe('formatPolicy', () => {
  it('trains a network in a format from outside', async () => {
    const runtime = await createRuntime()
    const policy = formatPolicy(logarithmic, { except: ({ kind }) => kind === 'update' })
    const [plain, rounded] = [await losses(), await losses(policy)]
    expect(rounded.at(-1)!).toBeLessThan(0.6 * rounded[0]!)
    for (const [i, loss] of plain.entries()) expect(Math.abs(rounded[i]! - loss)).toBeLessThan(0.02)
    expect(policy.groups).toHaveLength(1)
    expect(policy.groups[0]!.states!.shape).toEqual([policy.groups[0]!.places.length, 1])
    await runtime.close()
  })

  it('rounds what products read and give, and nothing else', async () => {
    const runtime = await createRuntime()
    const seen: string[] = []
    const tens: TensorFormat = { name: 'tens', bits: 4, round: (x) => ({ value: x.divide(10).round().multiply(10) }) }
    const policy = formatPolicy(tens, {
      except: ({ kind, op }) => {
        seen.push(`${kind} ${op}`)
        return false
      },
    })
    const state = { w: tensor([[14], [26]]) }
    const f = jit(
      (state: { w: Tensor }, x: Tensor) => {
        const y = x.add(1).matmul(state.w)
        state.w = state.w.add(1)
        return { y, sum: y.add(1).sum() }
      },
      { policy },
    )
    const { y, sum } = f(
      state,
      tensor([
        [11, 18],
        [4, 27],
      ]),
    )
    // x + 1 → [[10, 20], [0, 30]]; w → [10, 30]; the sum of elementwise ops stays as it is.
    expect([...(await y.data())]).toEqual([700, 900])
    expect(await sum.item()).toBe(1602)
    expect([...(await state.w.data())]).toEqual([20, 30])
    expect(seen).toEqual(['initial leaf', 'value add', 'value matmul', 'update add'])
    await runtime.close()
  })

  it('looks into checkpointed functions, and says what it does not look into', async () => {
    const runtime = await createRuntime()
    const tens: TensorFormat = { name: 'tens', bits: 4, round: (x) => ({ value: x.divide(10).round().multiply(10) }) }
    const policy = formatPolicy(tens)
    const square = checkpoint((x: Tensor) => x.matmul(x))
    const f = jit(
      (x: Tensor) => scan((sum: Tensor, row: Tensor) => [sum.add(row), row], x.select(0, 0), square(x))[0],
      {
        policy,
      },
    )
    const sum = await f(
      tensor([
        [1, 6],
        [14, 3],
      ]),
    ).data()
    // [[0, 10], [10, 0]] squared is [[100, 0], [0, 100]]; the first row, [0, 10], is added to both.
    expect([...sum]).toEqual([100, 110])
    expect(policy.groups[0]!.places.map(({ op }) => op)).toEqual(['leaf', 'matmul'])
    expect(policy.groups[0]!.notRounded).toEqual(['scan of f32[2]'])
    await runtime.close()
  })

  it('leaves values wide that are marked, also from a checkpointed function and under loss scaling', async () => {
    const runtime = await createRuntime()
    const whole: TensorFormat = { name: 'whole', bits: 8, round: (x) => ({ value: x.round() }) }
    const run = async (policy: ProgramPolicy) => {
      const state = {
        mean: tensor([0.25, 0.5]),
        square: tensor([0.25, 0.5]),
        product: tensor([
          [0.5, 0],
          [0, 0.5],
        ]),
      }
      const f = jit(
        (s: typeof state) => {
          s.mean = s.mean.add(0.5)
          s.square = keepWide(s.square.add(0.5))
          // Read by a product, and yet not rounded: neither before nor after.
          s.product = keepWide(checkpoint((x: Tensor) => x.matmul(x))(s.product))
        },
        { policy },
      )
      f(state)
      f(state)
      return [...(await state.mean.data()), ...(await state.square.data()), ...(await state.product.data())]
    }
    const kept = [2, 2, 1.25, 1.5, 0.0625, 0, 0, 0.0625]
    expect(await run(formatPolicy(whole))).toEqual(kept)
    expect(await run(lossScalePolicy(formatPolicy(whole)))).toEqual(kept)
    expect(await run(formatPolicy(whole, { keepsWide: false }))).toEqual([2, 2, 2, 2, 0, 0, 0, 0])
    await runtime.close()
  })

  it('knows arguments by their path', async () => {
    const whole: TensorFormat = { name: 'whole', bits: 8, round: (x) => ({ value: x.round() }) }
    const paths: (string | undefined)[] = []
    const policy = formatPolicy(whole, {
      except: ({ path }) => {
        paths.push(path)
        return path === '0.layers.1.weight'
      },
    })
    const model = {
      layers: [
        {
          weight: tensor([[0.5]])
            .expand([2, 2])
            .realize(),
        },
        { weight: tensor([[1.5, 0.5]]) },
      ],
    }
    const f = jit(
      (m: typeof model, x: Tensor) => {
        const y = x.matmul(m.layers[0]!.weight)
        for (const layer of m.layers) layer.weight = layer.weight.add(0.125)
        return y
      },
      { policy },
    )
    f(model, tensor([[1, 2]]))
    expect(paths.sort()).toEqual(['0.layers.0.weight', '0.layers.0.weight', '0.layers.1.weight', '1', undefined])
    expect([...(await model.layers[1]!.weight.data())]).toEqual([1.625, 0.625])
  })

  it('says what a format does wrong', () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ])
    const run = (format: Partial<TensorFormat>) =>
      jit((x: Tensor) => x.matmul(x), {
        policy: formatPolicy({ name: 'odd', bits: 8, round: (x) => ({ value: x }), ...format }),
      })(x)
    expect(() => run({ round: (x) => ({ value: x.sum() }) })).toThrow(
      /odd: round must keep f32\[2, 2\], it gave f32\[\]/,
    )
    expect(() => run({ stateSize: 2 })).toThrow(/initialize must give f32\[2\], got nothing/)
  })
})
