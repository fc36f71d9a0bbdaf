import { grad, type Tensor, tensor } from '@tessera/core'
import { checkGradient } from '@tessera/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ctcLoss } from './ctc.ts'

const classes = 3

/** −log of the sum over all paths that read as the labels, each written out. */
function bruteForce(logits: readonly (readonly number[])[], labels: readonly number[]): number {
  const rows = logits.map((row) => {
    const total = row.reduce((sum, x) => sum + Math.exp(x), 0)
    return row.map((x) => Math.exp(x) / total)
  })
  let sum = 0
  const walk = (time: number, path: readonly number[], probability: number): void => {
    if (time < rows.length) {
      for (let k = 0; k < classes; k++) walk(time + 1, [...path, k], probability * rows[time]![k]!)
      return
    }
    const read = path.filter((label, i) => label !== path[i - 1]).filter((label) => label !== 0)
    if (read.join() === labels.join()) sum += probability
  }
  walk(0, [], 1)
  return -Math.log(sum)
}

const example = fc
  .record({ time: fc.integer({ min: 1, max: 5 }), labels: fc.array(fc.integer({ min: 1, max: 2 }), { maxLength: 3 }) })
  .chain(({ time, labels }) =>
    fc.record({
      labels: fc.constant(labels),
      logits: fc.array(
        fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: classes, maxLength: classes }),
        { minLength: time, maxLength: time },
      ),
    }),
  )
  // Between equal labels stands a blank.
  .filter(({ labels, logits }) => {
    const repeats = labels.filter((label, i) => label === labels[i - 1]).length
    return labels.length + repeats <= logits.length
  })

const f64 = (values: ArrayLike<number>, shape: readonly number[]) => tensor(Float64Array.from(values), shape)

describe('ctcLoss', () => {
  test('is the sum over all paths', async () => {
    await fc.assert(
      fc.asyncProperty(example, async ({ logits, labels }) => {
        const x = f64(logits.flat(), [1, logits.length, classes]).logSoftmax()
        const loss = await ctcLoss(x, tensor(Int32Array.from(labels), [1, labels.length])).item()
        expect(Math.abs(loss - bruteForce(logits, labels))).toBeLessThan(1e-9)
      }),
      { numRuns: 60, seed: 1 },
    )
  })

  test('counts the steps and the labels of each sequence', async () => {
    const logits = Array.from({ length: 8 }, (_, i) => [0, 1, 2].map((k) => Math.sin(3 * i + k)))
    const x = f64(logits.flat(), [2, 4, classes]).logSoftmax()
    const targets = tensor(Int32Array.of(1, 2, 2, 1), [2, 2])
    const losses = await ctcLoss(x, targets, {
      reduction: 'none',
      inputLengths: tensor(Int32Array.of(4, 3)),
      targetLengths: tensor(Int32Array.of(2, 1)),
    }).data()
    expect(losses[0]).toBeCloseTo(bruteForce(logits.slice(0, 4), [1, 2]), 9)
    expect(losses[1]).toBeCloseTo(bruteForce(logits.slice(4, 7), [2]), 9)
  })

  test('has the gradient of the sum over all paths', async () => {
    const labels = [1, 2, 2]
    const inputs = [Float64Array.from({ length: 5 * classes }, (_, i) => Math.sin(2.3 * i))]
    const rowsOf = (values: Float64Array) =>
      Array.from({ length: 5 }, (_, i) => [...values.slice(i * classes, (i + 1) * classes)])
    await checkGradient({
      inputs,
      evaluate: ([values]) => bruteForce(rowsOf(values!), labels),
      gradient: async ([values]) => {
        const loss = (x: Tensor) => ctcLoss(x.logSoftmax(), tensor(Int32Array.from(labels), [1, 3]))
        return [await (grad(loss)(f64(values!, [1, 5, classes])) as Tensor).data()]
      },
    })
  })

  test('is finite, with its gradient, in f32', async () => {
    const x = tensor(
      Array.from({ length: 40 * classes }, (_, i) => 9 * Math.sin(i)),
      [1, 40, classes],
    )
    const loss = (y: Tensor) => ctcLoss(y.logSoftmax(), tensor(Int32Array.of(1, 1, 2), [1, 3]))
    const gradient = await (grad(loss)(x) as Tensor).data()
    expect(Number.isFinite(await loss(x).item())).toBe(true)
    expect([...gradient].every(Number.isFinite)).toBe(true)
  })
})
