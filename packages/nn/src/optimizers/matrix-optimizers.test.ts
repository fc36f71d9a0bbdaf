import { jit, randomKey, randomNormal, type Tensor, tensor } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { captureCheckpoint, restoreCheckpoint } from '../checkpoints/checkpoint.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../checkpoints/encoding.ts'
import { Module } from '../modules/module.ts'
import { Adafactor, type AdafactorOptions } from './adafactor.ts'
import { Lion, type LionOptions } from './lion.ts'
import { Muon, type MuonOptions, orthogonalize } from './muon.ts'
import type { Optimizer } from './optimizer.ts'
import { RmsProp } from './rms-prop.ts'

const steps = 12

type Matrix = number[][]
type Values = { weight: Matrix; filter: number[]; bias: number[] }

const filterShape = [2, 3, 2] as const

class Model extends Module {
  weight: Tensor
  filter: Tensor
  bias: Tensor
  constructor({ weight, filter, bias }: Values) {
    super()
    this.weight = tensor(weight)
    this.filter = tensor(filter, filterShape)
    this.bias = tensor(bias)
  }
}

const rows = 5
const columns = 3
const wave = (step: number, index: number, scale = 1) => Math.fround(Math.sin(step * 1.7 + index * 2.3) * scale)
const start: Values = {
  weight: Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => wave(0, i * columns + j, 2)),
  ),
  filter: Array.from({ length: 12 }, (_, i) => wave(0.5, i)),
  bias: [0.25, -0.5, 0],
}

function gradientsAt(step: number): Values {
  return {
    weight: start.weight.map((row, i) => row.map((_, j) => wave(step, i * columns + j, 10 ** ((i % 3) - 1)))),
    filter: start.filter.map((_, i) => wave(step + 0.25, i, 0.1)),
    bias: [wave(step, 100), wave(step, 101, 1e-3), wave(step, 102, 30)],
  }
}

/** Runs an optimizer as one program and gives all parameters after each step. */
async function trajectory(make: (model: Model) => Optimizer): Promise<number[][]> {
  const model = new Model(start)
  const optimizer = make(model)
  const step = jit((model: Model, optimizer: Optimizer, gradients: Record<string, Tensor>) => {
    optimizer.update(model, gradients)
  })
  const trajectory: number[][] = []
  for (let i = 1; i <= steps; i++) {
    const { weight, filter, bias } = gradientsAt(i)
    step(model, optimizer, { weight: tensor(weight), filter: tensor(filter, filterShape), bias: tensor(bias) })
    trajectory.push([...(await model.weight.data()), ...(await model.filter.data()), ...(await model.bias.data())])
  }
  expect(step.compilations).toBe(1)
  return trajectory
}

function expectClose(actual: number[][], wanted: Values[], tolerance: number): void {
  expect(actual).toHaveLength(wanted.length)
  actual.forEach((row, i) => {
    const { weight, filter, bias } = wanted[i]!
    const numbers = [...weight.flat(), ...filter, ...bias]
    row.forEach((value, index) => {
      const error = Math.abs(value - numbers[index]!) / Math.max(1, Math.abs(numbers[index]!))
      expect(error, `step ${i + 1}, element ${index}: ${value}, expected ${numbers[index]}`).toBeLessThan(tolerance)
    })
  })
}

/** The parameters after each step in double precision, given a rule for a whole flat parameter with its shape. */
function expected(
  rule: (name: string, shape: readonly number[]) => (value: number[], gradient: number[], step: number) => number[],
): Values[] {
  let weight = start.weight.flat()
  let { filter, bias } = start
  const rules = {
    weight: rule('weight', [rows, columns]),
    filter: rule('filter', filterShape),
    bias: rule('bias', [3]),
  }
  return Array.from({ length: steps }, (_, i) => {
    const gradients = gradientsAt(i + 1)
    weight = rules.weight(weight, gradients.weight.flat(), i + 1)
    filter = rules.filter(filter, gradients.filter, i + 1)
    bias = rules.bias(bias, gradients.bias, i + 1)
    return { weight: [weight], filter, bias }
  })
}

describe('Lion follows algorithm 2 of Chen et al. 2023', () => {
  const cases: Record<string, Omit<LionOptions, 'learningRate'>> = {
    plain: {},
    'weight decay of matrices': { weightDecay: 0.3 },
    'other decays': { beta1: 0.5, beta2: 0.7, weightDecay: 0.1, decay: () => true },
  }
  for (const [name, options] of Object.entries(cases)) {
    test(name, async () => {
      const { beta1 = 0.9, beta2 = 0.99, weightDecay = 0 } = options
      const learningRate = 0.05
      const wanted = expected((parameter) => {
        const m: number[] = []
        const lambda = options.decay || parameter !== 'bias' ? weightDecay : 0
        return (value, gradient) =>
          value.map((x, i) => {
            const moment = m[i] ?? 0
            const update = Math.sign(beta1 * moment + (1 - beta1) * gradient[i]!)
            m[i] = beta2 * moment + (1 - beta2) * gradient[i]!
            return x - learningRate * (update + lambda * x)
          })
      })
      expectClose(await trajectory((model) => new Lion(model, { learningRate, ...options })), wanted, 2e-6)
    })
  }
})

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const rootMeanSquare = (values: readonly number[]) => Math.sqrt(meanOf(values.map((value) => value * value)))

/** Row and column numbers of a flat tensor's elements along its two largest axes, and which slice they are in. */
function factors(
  shape: readonly number[],
): ((index: number) => { row: string; column: string; slice: string }) | undefined {
  if (shape.length < 2) return undefined
  const largest = shape.map((_, axis) => axis).sort((a, b) => shape[b]! - shape[a]! || b - a)
  const [first, second] = largest.slice(0, 2).sort()
  return (index) => {
    const position = shape.map(
      (extent, axis) => Math.floor(index / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % extent,
    )
    const others = position.filter((_, axis) => axis !== first && axis !== second).join()
    return { row: `${others}|${position[first!]}`, column: `${others}|${position[second!]}`, slice: others }
  }
}

function groupedMeans(values: readonly number[], keyOf: (index: number) => string): Map<string, number> {
  const groups = Map.groupBy(values.keys(), keyOf)
  return new Map([...groups].map(([key, indices]) => [key, meanOf(indices.map((i) => values[i]!))]))
}

describe('Adafactor follows algorithms 4 and 5 of Shazeer & Stern 2018', () => {
  const cases: Record<string, AdafactorOptions> = {
    'as in the paper': {},
    'a rate of one’s own': { learningRate: 0.03, relativeStep: false },
    'with a mean of updates, decay and another threshold': {
      learningRate: 0.1,
      beta1: 0.9,
      weightDecay: 0.2,
      clipThreshold: 0.5,
      decayExponent: 0.5,
    },
  }
  for (const [name, options] of Object.entries(cases)) {
    test(name, async () => {
      const { beta1 = 0, decayExponent = 0.8, clipThreshold = 1, epsilon1 = 1e-30, epsilon2 = 1e-3 } = options
      const { weightDecay = 0, relativeStep = true } = options
      const wanted = expected((parameter, shape) => {
        const position = factors(shape)
        let r = new Map<string, number>()
        let c = new Map<string, number>()
        let v: number[] = []
        let m: number[] = []
        return (value, gradient, step) => {
          const rho = (options.learningRate as number | undefined) ?? Math.min(1e-2, 1 / Math.sqrt(step))
          const beta2 = 1 - step ** -decayExponent
          const squared = gradient.map((g) => g * g + epsilon1)
          const mix = (old: Map<string, number>, next: Map<string, number>) =>
            new Map([...next].map(([key, mean]) => [key, beta2 * (old.get(key) ?? 0) + (1 - beta2) * mean]))
          if (position) {
            r = mix(
              r,
              groupedMeans(squared, (i) => position(i).row),
            )
            c = mix(
              c,
              groupedMeans(squared, (i) => position(i).column),
            )
            const total = Map.groupBy(r.keys(), (key) => key.split('|')[0]!)
            v = squared.map((_, i) => {
              const { row, column, slice } = position(i)
              return (r.get(row)! * c.get(column)!) / meanOf(total.get(slice)!.map((key) => r.get(key)!))
            })
          } else v = squared.map((g, i) => beta2 * (v[i] ?? 0) + (1 - beta2) * g)
          const u = gradient.map((g, i) => g / Math.sqrt(v[i]!))
          const clip = Math.max(1, rootMeanSquare(u) / clipThreshold)
          const alpha = relativeStep ? Math.max(epsilon2, rootMeanSquare(value)) * rho : rho
          const change = u.map((x) => (alpha * x) / clip)
          m = change.map((x, i) => beta1 * (m[i] ?? 0) + (1 - beta1) * x)
          const lambda = parameter === 'bias' ? 0 : weightDecay
          return value.map((x, i) => x - (beta1 > 0 ? m[i]! : change[i]!) - rho * lambda * x)
        }
      })
      expectClose(await trajectory((model) => new Adafactor(model, options)), wanted, 3e-6)
    })
  }

  test('keeps rows and columns of tensors with two axes or more, and all of others', () => {
    const { state } = new Adafactor(new Model(start))
    const shapes = Object.fromEntries(
      Object.entries(state).map(([kind, tensors]) => [
        kind,
        Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape])),
      ]),
    )
    expect(shapes).toEqual({
      rows: { weight: [5, 1], filter: [2, 3, 1] },
      columns: { weight: [1, 3], filter: [2, 1, 2] },
      secondMoment: { bias: [3] },
    })
  })
})

const multiply = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)))
const transpose = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!))
const combine = (a: Matrix, x: number, b: Matrix, y: number): Matrix =>
  a.map((row, i) => row.map((value, j) => x * value + y * b[i]![j]!))

/** Newton–Schulz in double precision, from the published formula X ← aX + (bA + cA²)X with A = XXᵀ, whatever the sides. */
function newtonSchulz(matrix: Matrix, iterations: number): Matrix {
  const norm = Math.sqrt(matrix.flat().reduce((sum, x) => sum + x * x, 0)) + 1e-7
  let x = matrix.map((row) => row.map((value) => value / norm))
  for (let i = 0; i < iterations; i++) {
    const gram = multiply(x, transpose(x))
    x = combine(x, 3.4445, multiply(combine(gram, -4.775, multiply(gram, gram), 2.0315), x), 1)
  }
  return x
}

describe('Muon follows Jordan et al. 2024 and Liu et al. 2025', () => {
  const cases: Record<string, Omit<MuonOptions, 'learningRate'>> = {
    'by default': {},
    'no momentum ahead, no decay': { nesterov: false, weightDecay: 0, iterations: 3 },
    'one matrix only': { orthogonalized: (name) => name === 'weight', momentum: 0.8, weightDecay: 0.5 },
  }
  for (const [name, options] of Object.entries(cases)) {
    test(name, async () => {
      const learningRate = 0.02
      const { momentum = 0.95, nesterov = true, iterations = 5, weightDecay = 0.1, orthogonalized } = options
      const wanted = expected((parameter, shape) => {
        const lambda = parameter === 'bias' ? 0 : weightDecay
        const isMatrix = orthogonalized ? parameter === 'weight' : parameter !== 'bias'
        const first: number[] = []
        const second: number[] = []
        return (value, gradient, step) => {
          if (!isMatrix) {
            return value.map((x, i) => {
              first[i] = 0.9 * (first[i] ?? 0) + 0.1 * gradient[i]!
              second[i] = 0.95 * (second[i] ?? 0) + 0.05 * gradient[i]! ** 2
              const denominator = Math.sqrt(second[i]! / (1 - 0.95 ** step)) + 1e-8
              return x - learningRate * (first[i]! / (1 - 0.9 ** step) / denominator + lambda * x)
            })
          }
          const ahead = gradient.map((g, i) => {
            first[i] = momentum * (first[i] ?? 0) + g
            return nesterov ? g + momentum * first[i]! : first[i]!
          })
          const width = value.length / shape[0]!
          const matrix = Array.from({ length: shape[0]! }, (_, i) => ahead.slice(i * width, (i + 1) * width))
          const direction = newtonSchulz(matrix, iterations).flat()
          const scale = 0.2 * Math.sqrt(Math.max(shape[0]!, width))
          return value.map((x, i) => x - learningRate * (scale * direction[i]! + lambda * x))
        }
      })
      expectClose(await trajectory((model) => new Muon(model, { learningRate, ...options })), wanted, 2e-5)
    })
  }

  test('singular values come near 1, whichever side is longer', async () => {
    for (const [height, width] of [
      [16, 8],
      [8, 16],
      [1, 5],
      [7, 1],
    ] as const) {
      const x = orthogonalize(randomNormal(randomKey(height), [height, width]), 10)
      const gram = height > width ? x.transpose().matmul(x) : x.matmul(x.transpose())
      const side = Math.min(height, width)
      // The trace is the sum of the squares of the singular values, each between 0.6 and 1.3.
      const trace = [...(await gram.data())].filter((_, i) => i % (side + 1) === 0).reduce((a, b) => a + b)
      expect(trace).toBeGreaterThan(0.6 * side)
      expect(trace).toBeLessThan(1.5 * side)
    }
  })
})

describe('state', () => {
  const optimizers: Record<string, (model: Model) => Optimizer> = {
    Lion: (model) => new Lion(model, { learningRate: 0.01, weightDecay: 0.1 }),
    RmsProp: (model) => new RmsProp(model, { learningRate: 0.01 }),
    Adafactor: (model) => new Adafactor(model, { beta1: 0.9 }),
    Muon: (model) => new Muon(model, { learningRate: 0.01 }),
  }
  for (const [name, make] of Object.entries(optimizers)) {
    test(`${name} goes on from a checkpoint bit for bit`, async () => {
      const run = (model: Model, optimizer: Optimizer, from: number, to: number) => {
        for (let i = from; i < to; i++) {
          const { weight, filter, bias } = gradientsAt(i)
          optimizer.update(model, { weight: tensor(weight), filter: tensor(filter, filterShape), bias: tensor(bias) })
        }
      }
      const model = new Model(start)
      const optimizer = make(model)
      run(model, optimizer, 1, 4)
      const saved = encodeCheckpoint(await captureCheckpoint({ model, optimizer }, { step: 3 }))
      const other = new Model(start)
      const resumed = make(other)
      restoreCheckpoint(decodeCheckpoint(saved), { model: other, optimizer: resumed })
      run(model, optimizer, 4, 7)
      run(other, resumed, 4, 7)
      for (const part of ['weight', 'filter', 'bias'] as const) {
        expect(await other[part].data()).toEqual(await model[part].data())
      }
    })

    test(`${name} leaves everything as it was where an update is not to be applied`, async () => {
      const model = new Model(start)
      const optimizer = make(model)
      const before = encodeCheckpoint(await captureCheckpoint({ model, optimizer }, { step: 0 }))
      const nan = tensor([Number.NaN])
      const gradients = { weight: nan.expand([rows, columns]), filter: nan.expand(filterShape), bias: nan.expand([3]) }
      optimizer.update(model, gradients, { apply: tensor([false]).reshape([]) })
      expect(encodeCheckpoint(await captureCheckpoint({ model, optimizer }, { step: 0 }))).toEqual(before)
      optimizer.update(
        model,
        { ...gradients, bias: tensor([1, 1, 1]) },
        {
          apply: (name) => (name === 'bias' ? undefined : tensor([false]).reshape([])),
        },
      )
      expect(await optimizer.step.item()).toBe(1)
      expect([...(await model.weight.data())]).toEqual(start.weight.flat().map(Math.fround))
      expect([...(await model.bias.data())]).not.toEqual(start.bias)
    })
  }

  test('options out of range are refused', () => {
    const model = new Model(start)
    expect(() => new Lion(model, { learningRate: 1, beta2: 1 })).toThrow(/Lion: beta2 must be/)
    expect(() => new Adafactor(model, { clipThreshold: 0 })).toThrow(/Adafactor: clipThreshold/)
    expect(() => new Muon(model, { learningRate: 1, iterations: 0 })).toThrow(/Muon: iterations/)
  })
})
