import { tensor } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { accuracy, classScores, confusionMatrix, f1Score, perplexity } from './classification.ts'

const classes = 5
const examples = fc.array(
  fc.record({
    logits: fc.array(fc.integer({ min: -3, max: 3 }), { minLength: classes, maxLength: classes }),
    target: fc.integer({ min: 0, max: classes - 1 }),
  }),
  { minLength: 1, maxLength: 12 },
)
const indices = (values: readonly number[]) => tensor(new Int32Array(values))

describe('accuracy', () => {
  test('is the part of targets among the first, with ties by index', async () => {
    await fc.assert(
      fc.asyncProperty(examples, fc.integer({ min: 1, max: classes + 1 }), async (rows, top) => {
        const found = rows.filter(({ logits, target }) =>
          logits
            .map((_, i) => i)
            .sort((a, b) => logits[b]! - logits[a]! || a - b)
            .slice(0, top)
            .includes(target),
        )
        const value = await accuracy(
          tensor(rows.map(({ logits }) => logits)),
          indices(rows.map(({ target }) => target)),
          {
            top,
          },
        ).item()
        expect(value).toBeCloseTo(found.length / rows.length, 5)
      }),
      { numRuns: 40 },
    )
  })

  test('leaves ignored targets out and never finds targets out of range', async () => {
    const logits = tensor([
      [1, 0],
      [0, 1],
      [5, 4],
      [4, 5],
    ])
    expect(await accuracy(logits, indices([0, 0, -1, 1]), { ignoreIndex: -1 }).item()).toBeCloseTo(2 / 3, 6)
    expect(await accuracy(logits, indices([0, 1, 2, -7]), { top: 2 }).item()).toBe(0.5)
    expect(await accuracy(logits, indices([-1, -1, -1, -1]), { ignoreIndex: -1 }).item()).toBe(0)
    expect(() => accuracy(logits, indices([0, 0, 0, 0]), { top: 0 })).toThrow(/top must be/)
  })
})

test('confusion matrix, precision, recall and F1 count pairs', async () => {
  const pair = fc.tuple(fc.integer({ min: -1, max: classes }), fc.integer({ min: -1, max: classes }))
  await fc.assert(
    fc.asyncProperty(fc.array(pair, { minLength: 1, maxLength: 30 }), async (pairs) => {
      const matrix = confusionMatrix(indices(pairs.map(([p]) => p)), indices(pairs.map(([, t]) => t)), classes)
      const valid = pairs.filter((both) => both.every((index) => index >= 0 && index < classes))
      const count = (test: (prediction: number, target: number) => boolean) =>
        valid.filter(([p, t]) => test(p, t)).length
      const all = Array.from({ length: classes }, (_, i) => i)
      expect([...(await matrix.data())]).toEqual(
        all.flatMap((t) => all.map((p) => count((a, b) => a === p && b === t))),
      )
      const scores = classScores(matrix)
      const ratio = (a: number, b: number) => (b === 0 ? 0 : a / b)
      const expected = all.map((c) => {
        const hits = count((p, t) => p === c && t === c)
        const predicted = count((p) => p === c)
        const support = count((_, t) => t === c)
        return {
          precision: ratio(hits, predicted),
          recall: ratio(hits, support),
          f1: ratio(2 * hits, predicted + support),
          support,
        }
      })
      for (const name of ['precision', 'recall', 'f1', 'support'] as const) {
        for (const [i, value] of (await scores[name].data()).entries()) expect(value).toBeCloseTo(expected[i]![name], 5)
      }
      const mean = (weight: (i: number) => number) =>
        ratio(
          expected.reduce((sum, { f1 }, i) => sum + f1 * weight(i), 0),
          all.reduce((sum, i) => sum + weight(i), 0),
        )
      expect(await f1Score(matrix).item()).toBeCloseTo(
        mean(() => 1),
        5,
      )
      expect(await f1Score(matrix, 'weighted').item()).toBeCloseTo(
        mean((i) => expected[i]!.support),
        5,
      )
      expect(await f1Score(matrix, 'micro').item()).toBeCloseTo(
        ratio(
          count((p, t) => p === t),
          valid.length,
        ),
        5,
      )
    }),
    { numRuns: 25 },
  )
})

test('perplexity of a uniform guess is the number of classes', async () => {
  expect(await perplexity(tensor(Math.log(10))).item()).toBeCloseTo(10, 4)
})
