import { grad, type Tensor, tensor } from '@tessera/core'
import { checkGradient } from '@tessera/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crossEntropy } from './cross-entropy.ts'
import { fromLogitLaplace, klDivergence, klToUniform, logitLaplaceLoss, toLogitLaplace } from './divergences.ts'
import { gaussianLoss, poissonLoss } from './likelihood.ts'
import { hingeLoss, multiclassHingeLoss, rankingLoss, tripletLoss } from './margins.ts'
import { type Reduction, reduceLosses } from './reduction.ts'
import { binaryCrossEntropy, huberLoss, meanAbsoluteError, meanSquaredError, smoothL1Loss } from './regression.ts'
import { contrastiveLoss, cosineLoss, cosineSimilarity, pairwiseDistance } from './similarity.ts'

const rows = 3
const columns = 4

/** Numbers without ties or kinks, different for each seed. */
const numbers = (seed: number, count = rows * columns) =>
  Float64Array.from({ length: count }, (_, i) => 1.5 * Math.sin(seed * 12.9 + i * 2.7 + 0.3))

const f64 = (values: ArrayLike<number>, shape: readonly number[] = [rows, columns]) =>
  tensor(Float64Array.from(values), shape)
const rowsOf = (values: Float64Array) =>
  Array.from({ length: rows }, (_, i) => [...values.slice(i * columns, (i + 1) * columns)])
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const logSoftmax = (row: readonly number[]) => row.map((x) => x - Math.log(sum(row.map(Math.exp))))
const dot = (a: readonly number[], b: readonly number[]) => sum(a.map((x, i) => x * b[i]!))
const cosine = (a: readonly number[], b: readonly number[]) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((x, i) => x - b[i]!))

const labels = [2, 0, 3]
const targets = tensor(new Int32Array(labels))
const signs = numbers(5).map(Math.sign)

interface Case {
  /** Floating-point inputs. */
  readonly inputs: readonly Float64Array[]
  readonly loss: (inputs: readonly Tensor[], reduction: Reduction) => Tensor
  /** The losses in plain arithmetic. */
  readonly formula: (inputs: readonly Float64Array[]) => number[]
}

const pairs = (inputs: readonly Float64Array[], formula: (a: number, b: number, i: number) => number) =>
  [...inputs[0]!].map((a, i) => formula(a, inputs[1]![i]!, i))
const unit = (values: Float64Array) => values.map((x) => 0.5 + x / 3.2)

const cases: Record<string, Case> = {
  poissonLoss: {
    inputs: [numbers(1), unit(numbers(2))],
    loss: ([a, b], reduction) => poissonLoss(a!, b!, { reduction }),
    formula: (inputs) => pairs(inputs, (a, b) => Math.exp(a) - b * a),
  },
  gaussianLoss: {
    inputs: [numbers(1), numbers(2), unit(numbers(3)).map((x) => x + 0.5)],
    loss: ([mean, target, variance], reduction) => gaussianLoss(mean!, target!, variance!, { reduction }),
    formula: (inputs) => pairs(inputs, (a, b, i) => (Math.log(inputs[2]![i]!) + (a - b) ** 2 / inputs[2]![i]!) / 2),
  },
  rankingLoss: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => rankingLoss(a!, b!, f64(signs).cast(a!.dtype), { margin: 0.3, reduction }),
    formula: (inputs) => pairs(inputs, (a, b, i) => Math.max(0, 0.3 - signs[i]! * (a - b))),
  },
  pairwiseDistance: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => reduceLosses(pairwiseDistance(a!, b!), reduction),
    formula: ([a, b]) => rowsOf(a!).map((row, i) => Math.hypot(...row.map((x, k) => x - rowsOf(b!)[i]![k]! + 1e-6))),
  },
  meanSquaredError: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => meanSquaredError(a!, b!, { reduction }),
    formula: (inputs) => pairs(inputs, (a, b) => (a - b) ** 2),
  },
  meanAbsoluteError: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => meanAbsoluteError(a!, b!, { reduction }),
    formula: (inputs) => pairs(inputs, (a, b) => Math.abs(a - b)),
  },
  huberLoss: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => huberLoss(a!, b!, { delta: 0.7, reduction }),
    formula: (inputs) =>
      pairs(inputs, (a, b) => {
        const d = Math.abs(a - b)
        return d <= 0.7 ? d ** 2 / 2 : 0.7 * (d - 0.35)
      }),
  },
  smoothL1Loss: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => smoothL1Loss(a!, b!, { beta: 0.5, reduction }),
    formula: (inputs) =>
      pairs(inputs, (a, b) => {
        const d = Math.abs(a - b)
        return d < 0.5 ? d ** 2 / 1 : d - 0.25
      }),
  },
  'binaryCrossEntropy with a weight': {
    inputs: [numbers(1), unit(numbers(2))],
    loss: ([z, y], reduction) => binaryCrossEntropy(z!, y!, { positiveWeight: 3, reduction }),
    formula: (inputs) =>
      pairs(inputs, (z, y) => {
        const p = 1 / (1 + Math.exp(-z))
        return -3 * y * Math.log(p) - (1 - y) * Math.log(1 - p)
      }),
  },
  binaryCrossEntropy: {
    inputs: [numbers(1), unit(numbers(2))],
    loss: ([z, y], reduction) => binaryCrossEntropy(z!, y!, { reduction }),
    formula: (inputs) =>
      pairs(inputs, (z, y) => {
        const p = 1 / (1 + Math.exp(-z))
        return -y * Math.log(p) - (1 - y) * Math.log(1 - p)
      }),
  },
  'crossEntropy, smoothed': {
    inputs: [numbers(1)],
    loss: ([logits], reduction) => crossEntropy(logits!, targets, { labelSmoothing: 0.1, reduction }),
    formula: ([logits]) =>
      rowsOf(logits!).map((row, i) => {
        const logarithms = logSoftmax(row)
        return -0.9 * logarithms[labels[i]!]! - (0.1 * sum(logarithms)) / columns
      }),
  },
  klDivergence: {
    inputs: [numbers(1), numbers(2)],
    loss: ([p, q], reduction) => klDivergence(p!.logSoftmax(), q!.logSoftmax(), { reduction }),
    formula: ([p, q]) =>
      rowsOf(p!).map((row, i) => {
        const [logP, logQ] = [logSoftmax(row), logSoftmax(rowsOf(q!)[i]!)]
        return sum(logP.map((l, j) => Math.exp(l) * (l - logQ[j]!)))
      }),
  },
  klToUniform: {
    inputs: [numbers(1)],
    loss: ([logits], reduction) => klToUniform(logits!, { reduction }),
    formula: ([logits]) =>
      rowsOf(logits!).map((row) => sum(logSoftmax(row).map((l) => Math.exp(l) * (l + Math.log(columns))))),
  },
  logitLaplaceLoss: {
    inputs: [numbers(1), numbers(2), unit(numbers(3))],
    loss: ([location, logScale, x], reduction) => logitLaplaceLoss(location!, logScale!, x!, { reduction }),
    formula: ([location, logScale, x]) =>
      [...x!].map((value, i) => {
        const b = Math.exp(logScale![i]!)
        const density =
          Math.exp(-Math.abs(Math.log(value / (1 - value)) - location![i]!) / b) / (2 * b * value * (1 - value))
        return -Math.log(density)
      }),
  },
  hingeLoss: {
    inputs: [numbers(1)],
    loss: ([scores], reduction) => hingeLoss(scores!, f64(signs), { margin: 0.8, reduction }),
    formula: ([scores]) => [...scores!].map((s, i) => Math.max(0, 0.8 - s * signs[i]!)),
  },
  'hingeLoss, squared': {
    inputs: [numbers(1)],
    loss: ([scores], reduction) => hingeLoss(scores!, f64(signs), { squared: true, reduction }),
    formula: ([scores]) => [...scores!].map((s, i) => Math.max(0, 1 - s * signs[i]!) ** 2),
  },
  multiclassHingeLoss: {
    inputs: [numbers(1)],
    loss: ([scores], reduction) => multiclassHingeLoss(scores!, targets, { reduction }),
    formula: ([scores]) =>
      rowsOf(scores!).map((row, i) =>
        Math.max(0, 1 + Math.max(...row.filter((_, j) => j !== labels[i])) - row[labels[i]!]!),
      ),
  },
  tripletLoss: {
    inputs: [numbers(1), numbers(2), numbers(3)],
    loss: ([a, p, n], reduction) => tripletLoss(a!, p!, n!, { margin: 2, reduction }),
    formula: ([a, p, n]) =>
      rowsOf(a!).map((row, i) => Math.max(0, 2 + distance(row, rowsOf(p!)[i]!) - distance(row, rowsOf(n!)[i]!))),
  },
  cosineLoss: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => cosineLoss(a!, b!, tensor(new Int32Array([1, -1, -1])), { margin: -0.9, reduction }),
    formula: ([a, b]) =>
      rowsOf(a!).map((row, i) => {
        const value = cosine(row, rowsOf(b!)[i]!)
        return i === 0 ? 1 - value : Math.max(0, value + 0.9)
      }),
  },
  contrastiveLoss: {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => contrastiveLoss(a!, b!, { scale: 5, reduction }),
    formula: ([a, b]) => {
      const scores = rowsOf(a!).map((x) => rowsOf(b!).map((y) => 5 * cosine(x, y)))
      const there = scores.map((row, i) => -logSoftmax(row)[i]!)
      const back = scores.map((_, i) => -logSoftmax(scores.map((row) => row[i]!))[i]!)
      return there.map((loss, i) => (loss + back[i]!) / 2)
    },
  },
  'contrastiveLoss, one way': {
    inputs: [numbers(1), numbers(2)],
    loss: ([a, b], reduction) => contrastiveLoss(a!, b!, { symmetric: false, reduction }),
    formula: ([a, b]) => rowsOf(a!).map((x, i) => -logSoftmax(rowsOf(b!).map((y) => cosine(x, y) / 0.07))[i]!),
  },
}

for (const [name, { inputs, loss, formula }] of Object.entries(cases)) {
  describe(name, () => {
    test('gives the formula for every reduction, in f64 and in f32', async () => {
      const wanted = formula(inputs)
      for (const [make, tolerance] of [
        [(values: Float64Array) => f64(values), 1e-11],
        [(values: Float64Array) => tensor(Float32Array.from(values), [rows, columns]), 3e-6],
      ] as const) {
        const tensors = inputs.map(make)
        const close = (actual: number, expected: number) =>
          expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(expected)))
        const each = await loss(tensors, 'none').data()
        expect(each).toHaveLength(wanted.length)
        wanted.forEach((value, i) => {
          close(each[i]!, value)
        })
        close(await loss(tensors, 'sum').item(), sum(wanted))
        close(await loss(tensors, 'mean').item(), sum(wanted) / wanted.length)
      }
    })

    test('has the gradient of its formula', async () => {
      await checkGradient({
        evaluate: (values) => sum(formula(values).map((value, i) => value * (i + 1))),
        gradient: async (values) => {
          const weighted = (tensors: readonly Tensor[]) => {
            const losses = loss(tensors, 'none')
            return losses
              .multiply(
                f64(
                  Float64Array.from({ length: losses.size }, (_, i) => i + 1),
                  losses.shape,
                ),
              )
              .sum()
          }
          const gradients = grad(weighted)(values.map((value) => f64(value)))
          return Promise.all(gradients.map((gradient) => gradient.data()))
        },
        inputs,
      })
    })
  })
}

describe('the logit-Laplace distribution', () => {
  test('integrates to 1 and is 2 at the middle', async () => {
    for (const [location, scale] of [
      [0, 1],
      [1.5, 0.3],
      [-2, 0.05],
    ] as const) {
      // In y = logit x the integrand f(x) x (1 − x) is smooth but for one kink: the midpoint rule on a fine grid that has it as an edge.
      const count = 40_000
      const width = 20 * scale
      const step = (2 * width) / count
      const x = Float64Array.from(
        { length: count },
        (_, i) => 1 / (1 + Math.exp(-(location - width + (i + 0.5) * step))),
      )
      const losses = await logitLaplaceLoss(f64([location], [1]), f64([Math.log(scale)], [1]), f64(x, [count]), {
        reduction: 'none',
      }).data()
      const integral = sum([...losses].map((loss, i) => Math.exp(-loss) * x[i]! * (1 - x[i]!) * step))
      expect(Math.abs(integral - 1)).toBeLessThan(1e-6)
    }
    expect(Math.exp(-(await logitLaplaceLoss(tensor([0]), tensor([0]), tensor([0.5])).item()))).toBeCloseTo(2, 6)
  })

  test('pixels come back from its support', async () => {
    const pixels = Float64Array.from({ length: 256 }, (_, i) => i / 255)
    const x = toLogitLaplace(f64(pixels, [256]))
    const back = await fromLogitLaplace(x.divide(x.negate().add(1)).log()).data()
    for (const [i, value] of back.entries()) expect(Math.abs(value - pixels[i]!)).toBeLessThan(1e-6)
  })
})

test('impossible classes of a target distribution cost nothing, in value and gradient', async () => {
  const loss = (q: Tensor) => klDivergence(tensor([1, 0, 0]).log(), q.log())
  expect(await loss(tensor([0.5, 0.5, 0])).item()).toBeCloseTo(Math.LN2, 6)
  expect([...(await grad(loss)(tensor([0.5, 0.25, 0.25])).data())]).toEqual([-2, 0, 0])
})

test('vectors of length 0 have a cosine of 0 and finite gradients', async () => {
  const zero = tensor([0, 0])
  expect(await cosineSimilarity(zero, tensor([1, 2])).item()).toBe(0)
  const gradient = await grad((a: Tensor) => cosineSimilarity(a, tensor([1, 2])))(zero).data()
  expect(gradient.every(Number.isFinite)).toBe(true)
})

test('contrastiveLoss does not depend on lengths, and needs pairs', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.double({ min: 0.1, max: 100, noNaN: true }), { minLength: rows, maxLength: rows }),
      async (factors) => {
        const a = f64(numbers(1))
        const scaled = a.multiply(f64(factors, [rows, 1]))
        const difference = contrastiveLoss(a, f64(numbers(2))).subtract(contrastiveLoss(scaled, f64(numbers(2))))
        expect(Math.abs(await difference.item())).toBeLessThan(1e-10)
      },
    ),
    { numRuns: 10 },
  )
  expect(() => contrastiveLoss(tensor([[1, 2]]), tensor([[1], [2]]))).toThrow(/two tensors \[batch, channels\]/)
})
