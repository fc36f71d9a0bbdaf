import { expect, test } from 'vitest'
import { fromColumns, median, toColumns } from './history.ts'

const history = {
  steps: [
    { step: 1, loss: 2.5, learningRate: 1e-3, gradientNorm: 1.25, milliseconds: 12 },
    { step: 2, loss: 2, learningRate: 2e-3, gradientNorm: 0.5, milliseconds: 11.123456789 },
  ],
  evaluations: [{ step: 2, loss: 2.25 }],
}

test('columns give the history back, to seven digits', () => {
  const [first, second] = history.steps
  const wanted = { ...history, steps: [first, { ...second, milliseconds: 11.12346 }] }
  expect(fromColumns(JSON.parse(JSON.stringify(toColumns(history))))).toEqual(wanted)
})

test('anything else is no history', () => {
  for (const value of [undefined, null, 3, {}, { step: [1] }]) expect(fromColumns(value)).toBeUndefined()
})

test('median', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
  expect(median([])).toBeNaN()
})
