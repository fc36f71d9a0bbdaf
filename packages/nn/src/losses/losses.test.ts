import { grad, type Tensor, tensor } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CrossEntropyOptions, crossEntropy } from './cross-entropy.ts'
import { binaryCrossEntropy, huberLoss, meanAbsoluteError, meanSquaredError } from './regression.ts'

const classes = 4
const batches = fc.array(
  fc.record({
    logits: fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: classes, maxLength: classes }),
    target: fc.nat(classes - 1),
  }),
  { minLength: 1, maxLength: 6 },
)

function smoothed({ logits, target }: { logits: number[]; target: number }, smoothing: number): number {
  const largest = Math.max(...logits)
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) + largest
  const own = total - logits[target]!
  const all = logits.reduce((sum, logit) => sum + total - logit, 0) / classes
  return (1 - smoothing) * own + smoothing * all
}

function inputs(rows: { logits: number[]; target: number }[]): [Tensor, Tensor] {
  return [tensor(rows.map(({ logits }) => logits)), tensor(new Int32Array(rows.map(({ target }) => target)))]
}

describe('crossEntropy', () => {
  test('equals −log softmax, smoothed or not, for every reduction', async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.constantFrom(0, 0.1, 1), async (rows, labelSmoothing) => {
        const losses = rows.map((row) => smoothed(row, labelSmoothing))
        const sum = losses.reduce((total, loss) => total + loss, 0)
        const close = (actual: number, wanted: number) =>
          expect(Math.abs(actual - wanted)).toBeLessThanOrEqual(2e-5 * Math.max(1, Math.abs(wanted)))
        const run = (options: CrossEntropyOptions) => crossEntropy(...inputs(rows), { ...options, labelSmoothing })
        close(await run({}).item(), sum / rows.length)
        close(await run({ reduction: 'sum' }).item(), sum)
        const each = await run({ reduction: 'none' }).data()
        expect(each).toHaveLength(rows.length)
        losses.forEach((loss, i) => {
          close(each[i]!, loss)
        })
      }),
      { numRuns: 25 },
    )
  })

  test('ignored targets count for nothing, neither in the loss nor in gradients', async () => {
    const rows = [
      { logits: [1, 2, 3, 4], target: 0 },
      { logits: [9, 0, 0, 0], target: -1 },
      { logits: [0, 5, 0, 0], target: 1 },
    ]
    const [logits, targets] = inputs(rows)
    const known = [smoothed(rows[0]!, 0), smoothed(rows[2]!, 0)]
    const options = { ignoreIndex: -1 } as const
    expect(await crossEntropy(logits, targets, options).item()).toBeCloseTo((known[0]! + known[1]!) / 2, 5)
    const each = await crossEntropy(logits, targets, { ...options, reduction: 'none' }).data()
    expect(each[1]).toBe(0)
    const gradient = await grad((x: Tensor) => crossEntropy(x, targets, options))(logits).data()
    expect(gradient.slice(4, 8).every((value) => value === 0)).toBe(true)
    expect(gradient[9]).toBeLessThan(0)
    const none = tensor(new Int32Array([-1, -1, -1]))
    expect(await crossEntropy(logits, none, options).item()).toBe(0)
  })

  test('a target out of range gives NaN; a smoothing out of range is refused', async () => {
    const [logits] = inputs([{ logits: [1, 2, 3, 4], target: 0 }])
    expect(await crossEntropy(logits, tensor(new Int32Array([classes]))).item()).toBeNaN()
    expect(() => crossEntropy(logits, logits, { labelSmoothing: 2 })).toThrow(/from 0 to 1, got 2/)
  })
})

describe('losses of numbers', () => {
  const predictions = tensor([1, -2, 0.5])
  const targets = tensor([0, 1, 0.5])

  test('squared, absolute and Huber', async () => {
    expect(await meanSquaredError(predictions, targets).item()).toBeCloseTo(10 / 3, 5)
    expect(await meanAbsoluteError(predictions, targets).item()).toBeCloseTo(4 / 3, 5)
    expect([...(await huberLoss(predictions, targets, { reduction: 'none' }).data())]).toEqual([0.5, 2.5, 0])
    expect(await huberLoss(predictions, targets, { delta: 2, reduction: 'sum' }).item()).toBe(4.5)
    expect(() => huberLoss(predictions, targets, { delta: 0 })).toThrow(/delta must be above 0/)
  })

  test('binary cross-entropy is right near 0 and far from it, and so is its gradient', async () => {
    const logits = [-200, -3, 0, 0.5, 200]
    const labels = [0, 1, 0, 0.25, 0]
    const losses = await binaryCrossEntropy(tensor(logits), tensor(labels), { reduction: 'none' }).data()
    logits.forEach((z, i) => {
      const wanted = Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - z * labels[i]!
      expect(losses[i]).toBeCloseTo(wanted, 4)
    })
    const gradient = grad((z: Tensor) => binaryCrossEntropy(z, tensor(labels), { reduction: 'sum' }))(tensor(logits))
    const wanted = logits.map((z, i) => 1 / (1 + Math.exp(-z)) - labels[i]!)
    for (const [i, value] of (await gradient.data()).entries()) expect(value).toBeCloseTo(wanted[i]!, 5)
  })
})
