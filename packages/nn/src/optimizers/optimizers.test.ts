import { jit, namedTensors, type Tensor, tensor } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { Module } from '../modules/module.ts'
import { type Schedule, warmUpCosine } from '../schedules/schedules.ts'
import { Adam, type AdamOptions, AdamW } from './adam.ts'
import type { Optimizer } from './optimizer.ts'
import { RmsProp } from './rms-prop.ts'
import { Sgd, type SgdOptions } from './sgd.ts'

const steps = 20

class Model extends Module {
  weight = tensor([
    [0.5, -1.25, 2],
    [-0.03, 0.7, 1],
  ])
  bias = tensor([0.25, -0.5, 1.5])
}

/** Gradients that change in sign and size, and stay 0 for one element. */
function gradientAt(step: number, index: number): number {
  return index === 4 ? 0 : Math.fround(Math.sin(step * 1.7 + index * 2.3) * 10 ** ((index % 5) - 2))
}

function gradientsAt(step: number): { weight: Tensor; bias: Tensor } {
  const values = Array.from({ length: 9 }, (_, index) => gradientAt(step, index))
  return { weight: tensor(values.slice(0, 6), [2, 3]), bias: tensor(values.slice(6)) }
}

/** Runs an optimizer as one compiled program and gives the parameters after each step. */
async function trajectory(make: (model: Model) => Optimizer): Promise<number[][]> {
  const model = new Model()
  const optimizer = make(model)
  const step = jit((model: Model, optimizer: Optimizer, gradients: { weight: Tensor; bias: Tensor }) => {
    optimizer.update(model, gradients)
  })
  const rows: number[][] = []
  for (let i = 1; i <= steps; i++) {
    step(model, optimizer, gradientsAt(i))
    rows.push([...(await model.weight.data()), ...(await model.bias.data())])
  }
  expect(step.compilations).toBe(1)
  expect(await optimizer.step.item()).toBe(steps)
  return rows
}

/** The same in double precision: `rule` is PyTorch's published loop body for one number. */
async function expected(rule: (value: number, gradient: number, step: number, index: number) => number) {
  const model = new Model()
  let values = [...(await model.weight.data()), ...(await model.bias.data())]
  return Array.from({ length: steps }, (_, i) => {
    values = values.map((value, index) => rule(value, gradientAt(i + 1, index), i + 1, index))
    return values
  })
}

function expectClose(actual: number[][], wanted: number[][], tolerance = 2e-6): void {
  actual.forEach((row, i) => {
    row.forEach((value, index) => {
      const error = Math.abs(value - wanted[i]![index]!) / Math.max(1, Math.abs(wanted[i]![index]!))
      expect(error, `step ${i + 1}, element ${index}: ${value}, expected ${wanted[i]![index]}`).toBeLessThan(tolerance)
    })
  })
}

const isMatrix = (index: number) => index < 6

describe('Sgd follows https://pytorch.org/docs/stable/generated/torch.optim.SGD.html', () => {
  const cases: Record<string, Omit<SgdOptions, 'learningRate'>> = {
    plain: {},
    momentum: { momentum: 0.9 },
    nesterov: { momentum: 0.9, nesterov: true },
    'weight decay': { momentum: 0.5, weightDecay: 0.1 },
    'weight decay of everything, without momentum': { weightDecay: 0.1, decay: () => true },
  }
  for (const [name, options] of Object.entries(cases)) {
    test(name, async () => {
      const learningRate = 0.01
      const buffers: number[] = []
      const { momentum = 0, nesterov = false, weightDecay = 0, decay } = options
      const wanted = await expected((value, gradient, step, index) => {
        let g = gradient
        if (decay || isMatrix(index)) g += weightDecay * value
        if (momentum !== 0) {
          buffers[index] = step > 1 ? momentum * buffers[index]! + g : g
          g = nesterov ? g + momentum * buffers[index]! : buffers[index]!
        }
        return value - learningRate * g
      })
      expectClose(await trajectory((model) => new Sgd(model, { learningRate, ...options })), wanted)
    })
  }
})

test('RmsProp has ε under the root', async () => {
  for (const { decayRate = 0.99, epsilon = 1e-8 } of [{}, { decayRate: 0.5, epsilon: 0.3 }, { decayRate: 0 }]) {
    const squares: number[] = []
    const wanted = await expected((value, gradient, _, index) => {
      squares[index] = decayRate * (squares[index] ?? 0) + (1 - decayRate) * gradient ** 2
      return value - (0.01 * gradient) / Math.sqrt(squares[index]! + epsilon)
    })
    expectClose(await trajectory((model) => new RmsProp(model, { learningRate: 0.01, decayRate, epsilon })), wanted)
  }
  expect(() => new RmsProp(new Model(), { learningRate: 1, decayRate: 1 })).toThrow(/RmsProp: decayRate must be/)
})

function torchAdam(options: AdamOptions, decoupled: boolean, rateAt: (step: number) => number) {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, decay } = options
  const first: number[] = []
  const second: number[] = []
  return (value: number, gradient: number, step: number, index: number): number => {
    const rate = rateAt(step)
    const decays = decay ? decay(isMatrix(index) ? 'weight' : 'bias', undefined as never) : isMatrix(index)
    let g = gradient
    let next = value
    if (decays && !decoupled) g += weightDecay * next
    if (decays && decoupled) next -= rate * weightDecay * next
    first[index] = beta1 * (first[index] ?? 0) + (1 - beta1) * g
    second[index] = beta2 * (second[index] ?? 0) + (1 - beta2) * g * g
    const corrected = first[index]! / (1 - beta1 ** step)
    return next - (rate * corrected) / (Math.sqrt(second[index]! / (1 - beta2 ** step)) + epsilon)
  }
}

describe('Adam and AdamW follow https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html', () => {
  const schedule: Schedule = warmUpCosine({ peak: 0.02, minimum: 0.002, warmUpSteps: 5, steps })
  const cases: Record<string, { options: AdamOptions; decoupled: boolean }> = {
    Adam: { options: { learningRate: 0.01 }, decoupled: false },
    'Adam with GPT-3 settings': { options: { learningRate: 0.01, beta2: 0.95 }, decoupled: false },
    'Adam without memory': { options: { learningRate: 0.01, beta1: 0, beta2: 0 }, decoupled: false },
    'Adam with a large epsilon': { options: { learningRate: 0.01, epsilon: 0.1 }, decoupled: false },
    'Adam with an L2 penalty': { options: { learningRate: 0.01, weightDecay: 0.3 }, decoupled: false },
    AdamW: { options: { learningRate: 0.01, weightDecay: 0.1 }, decoupled: true },
    'AdamW with a predicate': {
      options: { learningRate: 0.01, weightDecay: 0.1, decay: (name) => name === 'bias' },
      decoupled: true,
    },
    'AdamW with a schedule': { options: { learningRate: schedule, weightDecay: 0.1 }, decoupled: true },
  }
  for (const [name, { options, decoupled }] of Object.entries(cases)) {
    test(name, async () => {
      const { learningRate } = options
      const rateAt = (step: number) => (typeof learningRate === 'number' ? learningRate : schedule.at(step))
      const wanted = await expected(torchAdam(options, decoupled, rateAt))
      const make = (model: Model) => (decoupled ? new AdamW(model, options) : new Adam(model, options))
      expectClose(await trajectory(make), wanted)
    })
  }

  test('the first step is accurate when β₂ is near 1', async () => {
    const model = { x: tensor([0]) }
    const optimizer = new Adam(model, { learningRate: 1, beta2: 0.99999 })
    optimizer.update(model, { x: tensor([3]) })
    expect(Math.abs((await model.x.item()) + 1)).toBeLessThan(5e-7)
  })
})

test('a learning rate that is a tensor may be replaced without a new trace', async () => {
  const model = { x: tensor([10]) }
  const optimizer = new Sgd(model, { learningRate: tensor(1) })
  const step = jit((m: typeof model, sgd: Sgd) => sgd.update(m, { x: tensor([1]) }))
  step(model, optimizer)
  expect(await model.x.item()).toBe(9)
  optimizer.learningRate = tensor(0.5)
  const { learningRate } = step(model, optimizer)
  expect(await model.x.item()).toBe(8.5)
  expect(await learningRate.item()).toBe(0.5)
  expect(step.compilations).toBe(1)
})

test('one jitted function tells optimizers with different rules apart', async () => {
  const step = jit((model: { x: Tensor }, optimizer: Optimizer) => {
    optimizer.update(model, { x: tensor([1]) })
  })
  const results: number[] = []
  for (const options of [
    { learningRate: 1 },
    { learningRate: 2 },
    { learningRate: 1, weightDecay: 1, decay: () => true },
  ]) {
    const model = { x: tensor([4]) }
    step(model, new Sgd(model, options))
    results.push(await model.x.item())
  }
  expect(results).toEqual([3, 2, -1])
})

test('optimizer state exists before the first step, by kind and path', () => {
  const model = new Model()
  const names = [...namedTensors(new AdamW(model, { learningRate: 1 })).keys()]
  expect(names).toEqual([
    'step',
    'state.firstMoment.weight',
    'state.firstMoment.bias',
    'state.secondMoment.weight',
    'state.secondMoment.bias',
  ])
  expect([...namedTensors(new Sgd(model, { learningRate: 1 })).keys()]).toEqual(['step'])
})

test('small formats keep their state in f32 and their parameters as they are', async () => {
  const model = { x: tensor([1]).cast('bf16') }
  const optimizer = new AdamW(model, { learningRate: 0.5, weightDecay: 0 })
  optimizer.update(model, { x: tensor([3]).cast('bf16') })
  expect(model.x.dtype).toBe('bf16')
  expect(optimizer.state.firstMoment!.x!.dtype).toBe('f32')
  expect(await model.x.cast('f32').item()).toBe(0.5)
})

describe('tied parameters', () => {
  test('are one parameter and stay tied', async () => {
    const shared = tensor([2])
    const model = { embedding: { weight: shared }, output: { weight: shared } }
    const optimizer = new Sgd(model, { learningRate: 0.5, momentum: 0.5 })
    expect(Object.keys(optimizer.state.momentum!)).toEqual(['embedding.weight'])
    const step = jit((m: typeof model, sgd: Sgd) => {
      const gradient = tensor([1])
      sgd.update(m, { embedding: { weight: gradient }, output: { weight: gradient } })
    })
    for (let i = 0; i < 3; i++) {
      step(model, optimizer)
      expect(model.output.weight).toBe(model.embedding.weight)
    }
    expect(step.compilations).toBe(1)
    expect(await model.output.weight.item()).toBe(2 - 0.5 * (1 + 1.5 + 1.75))
  })
})

describe('errors say what does not fit', () => {
  test('gradients that are missing or of another shape', () => {
    const model = new Model()
    const optimizer = new Sgd(model, { learningRate: 1 })
    expect(() => optimizer.update(model, { weight: model.weight })).toThrow(/No gradient was given for bias/)
    expect(() => optimizer.update(model, { weight: model.weight, bias: model.weight })).toThrow(
      /gradient of bias is Tensor f32\[2, 3\], the parameter is Tensor f32\[3\]/,
    )
  })

  test('a model that has changed since', () => {
    const model: Record<string, Tensor> = { a: tensor([1]), b: tensor([1]) }
    const optimizer = new Sgd(model, { learningRate: 1 })
    const { a, b } = model
    expect(() => optimizer.update({ a: a!, c: b! }, model)).toThrow(/new c\. gone b\./)
  })

  test('nothing to train', () => {
    expect(() => new Sgd(new Model().freeze(), { learningRate: 1 })).toThrow(/no trainable tensors/)
  })

  test('hyperparameters out of range', () => {
    const model = new Model()
    expect(() => new Sgd(model, { learningRate: 1, momentum: 1 })).toThrow(
      /momentum must be at least 0 and below 1, got 1/,
    )
    expect(() => new AdamW(model, { learningRate: 1, beta2: -0.5 })).toThrow(/AdamW: beta2 must be/)
    expect(() => new Adam(model, { learningRate: 1, weightDecay: Number.NaN })).toThrow(
      /Adam: weightDecay must be at least 0/,
    )
  })
})
