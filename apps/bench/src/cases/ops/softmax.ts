import { type OpDefinition, operand } from './definition.ts'

/** Softmax of the last axis. */
export const softmaxDefinition: OpDefinition<'softmax'> = {
  inputs: ({ rows, columns }) => [operand([rows, columns], 11)],
  // An exponential counts as one operation.
  work: ({ rows, columns }) => ({ flops: 4 * rows * columns, bytes: 8 * rows * columns }),
  expected({ rows, columns }, [x]) {
    const result = new Float64Array(rows * columns)
    for (let row = 0; row < rows; row++) softmaxRow(x!.values, row * columns, columns, result)
    return result
  },
}

/** Softmax of `length` values from `start` on, written to the same place of `result`. */
export function softmaxRow(values: ArrayLike<number>, start: number, length: number, result: Float64Array): void {
  let most = Number.NEGATIVE_INFINITY
  for (let i = start; i < start + length; i++) most = Math.max(most, values[i]!)
  let sum = 0
  for (let i = start; i < start + length; i++) {
    result[i] = Math.exp(values[i]! - most)
    sum += result[i]!
  }
  for (let i = start; i < start + length; i++) result[i]! /= sum
}
