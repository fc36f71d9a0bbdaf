import { grad, jit, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { captureCheckpoint } from '../checkpoints/checkpoint.ts'
import { Sgd } from '../optimizers/sgd.ts'
import { allFinite, LossScale, type LossScaleOptions } from './loss-scale.ts'

/** The rule in double precision, one update after another. */
function automaton(options: Required<LossScaleOptions>, finite: readonly boolean[]): number[] {
  let scale = options.initial
  let inARow = 0
  let lastReduction = Number.NEGATIVE_INFINITY
  return finite.map((good, update) => {
    if (good) {
      inARow++
      if (inARow === options.growthInterval) {
        scale *= options.growth
        inARow = 0
      }
    } else {
      inARow = 0
      if (update - lastReduction > options.backoffInterval) {
        scale *= options.backoff
        lastReduction = update
      }
    }
    scale = Math.min(Math.max(scale, options.minimum), options.maximum)
    return scale
  })
}

describe('the scale', () => {
  const rules: Record<string, Required<LossScaleOptions>> = {
    'PyTorch’s GradScaler': {
      initial: 64,
      growth: 2,
      growthInterval: 3,
      backoff: 0.5,
      backoffInterval: 0,
      minimum: 8,
      maximum: 256,
    },
    'DALL·E’s blocks': {
      initial: 2 ** 13,
      growth: 2 ** (1 / 1000),
      growthInterval: 1,
      backoff: Math.SQRT1_2,
      backoffInterval: 125,
      minimum: 2 ** 7,
      maximum: 2 ** 24,
    },
    'Sparse Transformers': {
      initial: 2 ** 16,
      growth: 1.00035,
      growthInterval: 1,
      backoff: 0.5,
      backoffInterval: 0,
      minimum: 1,
      maximum: 2 ** 32,
    },
  }
  const outcomes = Array.from({ length: 320 }, (_, i) => !(i % 41 === 40 || (i > 150 && i < 165) || i === 1))
  for (const [name, rule] of Object.entries(rules)) {
    test(`moves as ${name}`, async () => {
      const lossScale = new LossScale(rule)
      const step = jit((lossScale: LossScale, finite: Tensor) => lossScale.update(finite))
      const scales: number[] = []
      for (const good of outcomes) {
        step(lossScale, tensor([good]).reshape([]))
        scales.push(await lossScale.scale.item())
      }
      expect(step.compilations).toBe(1)
      for (const [i, wanted] of automaton(rule, outcomes).entries()) {
        expect(Math.abs(scales[i]! / wanted - 1), `update ${i}: ${scales[i]}, expected ${wanted}`).toBeLessThan(5e-5)
      }
    })
  }

  test('of a block starts as DALL·E’s and counts workers', async () => {
    expect(await LossScale.perBlock(4).scale.item()).toBe(2 ** 15)
    expect(LossScale.perBlock(2)).toMatchObject({ minimum: 256, maximum: 2 ** 25, backoffInterval: 125 })
  })

  test('is part of checkpoints', async () => {
    const { tensors } = await captureCheckpoint({ lossScale: new LossScale() }, { step: 0 })
    expect([...tensors.keys()]).toEqual(['lossScale.scale', 'lossScale.finiteUpdates', 'lossScale.heldUpdates'])
  })
})

test('saves gradients that a small format would flush to 0', async () => {
  const weight = tensor([2 ** -5]).cast('f16')
  // The gradient, 2^−30, is below f16's smallest number, 2^−24.
  const loss = ({ weight }: { weight: Tensor }) =>
    weight
      .multiply(2 ** -15)
      .multiply(2 ** -15)
      .sum()
  expect(await grad(loss)({ weight }).weight.realize().cast('f32').item()).toBe(0)
  const lossScale = new LossScale({ initial: 2 ** 12 })
  const { gradients } = valueAndGrad({ weight }, (model) => lossScale.scaled(loss(model)))
  const { gradients: unscaled, finite } = lossScale.unscale({ weight: gradients.weight.realize() })
  expect(await unscaled.weight.item()).toBe(2 ** -30)
  expect(await finite.item()).toBe(1)
})

test('an overflow leaves the update out and reduces the scale', async () => {
  const model = { weight: tensor([1]).cast('f16') }
  const optimizer = new Sgd(model, { learningRate: 0.5, momentum: 0.9 })
  const lossScale = new LossScale({ initial: 2 ** 16, growthInterval: 1 })
  const step = jit((m: typeof model, sgd: Sgd, scale: LossScale, x: Tensor) => {
    const { gradients } = valueAndGrad(m, ({ weight }) => scale.scaled(weight.multiply(x).sum()))
    const { gradients: unscaled, finite } = scale.unscale(gradients)
    sgd.update(m, unscaled, { apply: finite })
    scale.update(finite)
  })
  const seen: number[][] = []
  for (let i = 0; i < 4; i++) {
    step(model, optimizer, lossScale, tensor([1.5]).cast('f16'))
    seen.push([await model.weight.cast('f32').item(), await lossScale.scale.item(), await optimizer.step.item()])
  }
  // 2^16 · 1.5 is above f16's largest number, 65504; 2^15 · 1.5 is not, and 2^16 overflows again.
  expect(seen).toEqual(
    [
      [1, 2 ** 15, 0],
      [0.25, 2 ** 16, 1],
      [0.25, 2 ** 15, 1],
      [0.25 - 0.5 * (0.9 * 1.5 + 1.5), 2 ** 16, 2],
    ].map(([weight, ...others]) => [expect.closeTo(weight!, 2), ...others]),
  )
})

describe('the scale of a block', () => {
  const block = { weight: tensor([2, 3]), inner: tensor([-1]) }
  const network = (x: Tensor, lossScale?: LossScale) => {
    const body = (y: Tensor) => y.multiply(block.weight).add(block.inner).tanh()
    return x
      .add(lossScale ? lossScale.branch(x, body) : body(x))
      .square()
      .sum()
  }

  test('does not change values or gradients outside, and scales those inside', async () => {
    const x = tensor([0.3, -0.2])
    const lossScale = new LossScale({ initial: 1024 })
    const parameters = { x, block }
    const plain = valueAndGrad(parameters, () => network(x))
    const scaled = valueAndGrad(parameters, () => network(x, lossScale))
    expect(await scaled.value.item()).toBe(await plain.value.item())
    const { gradients: inside } = lossScale.unscale(scaled.gradients.block)
    for (const [actual, wanted] of [
      [scaled.gradients.x, plain.gradients.x],
      [inside.weight, plain.gradients.block.weight],
      [inside.inner, plain.gradients.block.inner],
    ] as const) {
      const numbers = await wanted.data()
      for (const [i, value] of (await actual.data()).entries()) expect(value).toBeCloseTo(numbers[i]!, 5)
    }
    const unscaled = (await plain.gradients.block.weight.data())[0]!
    expect((await scaled.gradients.block.weight.data())[0]! / unscaled).toBeCloseTo(1024, 1)
  })

  test('keeps overflow inside: the gradient beside the block goes on', async () => {
    const lossScale = new LossScale({ initial: 2 ** 30 })
    const halves = { weight: tensor([2]).cast('f16') }
    const loss = (x: Tensor) =>
      x.add(lossScale.branch(x, (y) => y.cast('f16').multiply(halves.weight).cast('f32'))).sum()
    const { gradients } = valueAndGrad({ x: tensor([1]), halves }, ({ x }) => loss(x))
    // 1 by the identity; the branch's own part, 2, was lost to the overflow and counts as 0.
    expect(await gradients.x.item()).toBe(1)
    expect(await lossScale.unscale(gradients.halves).finite.item()).toBe(0)
  })
})

test('allFinite sees NaN and infinities in every format', async () => {
  const check = async (tree: unknown) => Boolean(await allFinite(tree).item())
  expect(await check({ a: tensor([1, -2]), b: [tensor([0]).cast('bf16')] })).toBe(true)
  expect(await check({ a: tensor([1, Number.NaN]) })).toBe(false)
  expect(await check([tensor([1]), tensor([Number.NEGATIVE_INFINITY])])).toBe(false)
  expect(await check([tensor([1e5]).cast('f16')])).toBe(false)
  expect(await check({})).toBe(true)
})

test('options that make no scale are refused', () => {
  expect(() => new LossScale({ initial: 0.5 })).toThrow(/minimum ≤ initial ≤ maximum/)
  expect(() => new LossScale({ growth: 0.5, backoff: 2 })).toThrow(/growth ≥ 1; 0 < backoff ≤ 1/)
})
