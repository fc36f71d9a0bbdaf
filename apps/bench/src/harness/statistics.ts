/** Median, smallest and largest of a sample, in the unit of the values. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

/**
 * Summarises a sample of at least one value; the median of an even number is the mean of the middle two.
 *
 * @example summarize([3, 1, 2]) // { median: 2, min: 1, max: 3 }
 */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('summarize: the sample is empty; measure at least once')
  const sorted = values.toSorted((left, right) => left - right)
  const middle = sorted.length >> 1
  const upper = sorted[middle]!
  const median = sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/**
 * Relative root-mean-square error √(Σ(actual − expected)² / Σ expected²); NaN if any value is NaN.
 * Throws when the lengths differ.
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) {
    throw new RangeError(`relativeError: ${actual.length} values compared with ${expected.length}`)
  }
  let difference = 0
  let magnitude = 0
  for (let index = 0; index < expected.length; index++) {
    difference += (actual[index]! - expected[index]!) ** 2
    magnitude += expected[index]! ** 2
  }
  return difference === 0 ? 0 : Math.sqrt(difference / magnitude)
}
