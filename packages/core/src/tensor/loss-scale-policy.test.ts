import { describe, expect, it } from 'vitest'
import {
  createRuntime,
  formatPolicy,
  jit,
  lossScalePolicy,
  type ProgramPolicy,
  randomKey,
  randomNormal,
  type Tensor,
  type TensorFormat,
  tensor,
  valueAndGrad,
} from '../index.ts'

const half: TensorFormat = {
  name: 'half',
  bits: 16,
  storage: { dtype: 'f16', decode: (stored) => stored.cast('f32') },
  round: (x) => {
    const stored = x.cast('f16')
    return { value: stored.cast('f32'), stored }
  },
}

interface Model {
  weight: Tensor
}

/** Updates by ten gradients of a product whose errors are smaller by a factor. */
function makeStep(policy: ProgramPolicy | undefined, size: number) {
  return jit(
    (model: Model, x: Tensor, wanted: Tensor) => {
      const { value, gradients } = valueAndGrad(model, ({ weight }) =>
        x.matmul(weight).subtract(wanted).square().mean().multiply(size),
      )
      model.weight = model.weight.subtract(gradients.weight.multiply(0.1 / size))
      return value
    },
    policy ? { policy } : {},
  )
}

async function train(policy: ProgramPolicy | undefined, size: number, steps = 12) {
  const model = { weight: tensor(new Float32Array(12), [4, 3]) }
  const x = randomNormal(randomKey(1), [16, 4]).realize()
  const wanted = x.slice(1, 0, 3).realize()
  const step = makeStep(policy, size)
  const losses: number[] = []
  for (let i = 0; i < steps; i++) losses.push((await step(model, x, wanted).item()) / size)
  return { losses, model, step, x, wanted }
}

describe('lossScalePolicy', () => {
  it('changes nothing in f32', async () => {
    const runtime = await createRuntime()
    const [plain, scaled] = [await train(undefined, 1), await train(lossScalePolicy(), 1)]
    expect(scaled.losses).toEqual(plain.losses)
    expect(scaled.losses.at(-1)!).toBeLessThan(0.4 * scaled.losses[0]!)
    await runtime.close()
  })

  it('saves gradients that a narrow format flushes to zero', async () => {
    const runtime = await createRuntime()
    const size = 2 ** -28
    // Weights stay wide, so that the gradients alone decide.
    const narrow = () => formatPolicy(half, { except: ({ kind }) => kind === 'update' })
    const [lost, saved] = [await train(narrow(), size), await train(lossScalePolicy(narrow()), size)]
    expect(lost.losses.at(-1)).toBe(lost.losses[0])
    const plain = await train(undefined, size)
    for (const [i, loss] of plain.losses.entries()) expect(Math.abs(saved.losses[i]! - loss)).toBeLessThan(2e-3)
    await runtime.close()
  })

  it('leaves updates out whose gradients overflowed, halves the scale, and doubles it again', async () => {
    const runtime = await createRuntime()
    const policy = lossScalePolicy(formatPolicy(half, { storage: false }), { initial: 2 ** 18, growthInterval: 3 })
    const model = { weight: tensor([[1], [2]]) }
    const x = tensor([
      [1, 1],
      [1, 1],
    ])
    const step = makeStep(policy, 1)
    const seen: [number, number][] = []
    for (let i = 0; i < 6; i++) {
      step(model, x, tensor([[0], [0]]))
      seen.push([(await policy.scale.data())[0]!, (await model.weight.data())[0]!])
    }
    // The gradient is 6: 6 · 2^14 overflows f16, 6 · 2^13 does not.
    const scales = seen.map(([scale]) => Math.log2(scale))
    expect(scales.slice(0, 5)).toEqual([17, 16, 15, 14, 13])
    expect(seen.slice(0, 5).map(([, weight]) => weight)).toEqual([1, 1, 1, 1, 1])
    expect(seen[5]![1]).toBeLessThan(1)
    expect([...(await policy.scale.data())]).toEqual([2 ** 13, 1, 5])
    await runtime.close()
  })

  it('goes into checkpoints with the state of the format inside', async () => {
    const runtime = await createRuntime()
    const policy = lossScalePolicy(formatPolicy(half), { initial: 64 })
    await train(policy, 1, 3)
    expect(Object.keys(policy.state())).toEqual(['lossScale'])
    const resumed = lossScalePolicy(formatPolicy(half))
    resumed.restore(policy.state())
    expect([...(await resumed.scale.data())]).toEqual([64, 3, 0])
    expect(() => resumed.restore({})).toThrow(/has no lossScale/)
    expect(() => lossScalePolicy(undefined, { initial: 3 })).toThrow(/power of two .* got 3/)
    await runtime.close()
  })
})
