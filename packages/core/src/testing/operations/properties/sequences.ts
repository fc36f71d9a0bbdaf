import { roundHalfEven } from '../../../run/reference/elementwise.ts'
import * as sorting from '../../../tensor/sorting.ts'
import { mapRows } from '../host.ts'
import type { OpTest } from '../op-test.ts'
import { anyAxis, anyExtent, anyShape } from '../shapes.ts'
import { distinct, flattened, listed, padded, quantileOf, search } from '../tables/sequences.ts'

/** Random shapes for ops that order, count and look for values. */

type Property = NonNullable<OpTest['property']>

const quantile =
  (
    apply: (x: Parameters<typeof sorting.median>[0], share: number, axis: number) => ReturnType<typeof sorting.median>,
    shares: readonly number[],
  ): Property =>
  (choices) => {
    const shape = anyShape(choices, { least: 1, most: 3, filled: true, elements: 200 })
    const axis = anyAxis(choices, shape)
    const share = choices.pick(shares)
    return {
      name: `share ${share} of [${shape}] along ${axis}`,
      operands: [{ shape }],
      apply: (x) => apply(x, share, axis),
      expected: (x) => flattened(mapRows(x!, axis, quantileOf(share)), axis),
    }
  }

export const sequenceProperties: Readonly<Record<string, Property>> = {
  quantile: quantile((x, share, axis) => sorting.quantile(x, share, axis), [0.5, 0, 1, 0.25, 0.7]),
  median: quantile((x, _, axis) => sorting.median(x, axis), [0.5]),
  searchSorted(choices) {
    const rows = anyShape(choices, { most: 1, filled: true, elements: 5 })
    const sorted = [...rows, choices.pick([1, 0, 2, 5, 17, 65])]
    const values = [...rows, anyExtent(choices, 17)]
    return search(choices.pick(['left', 'right'] as const), sorted, values)
  },
  unique(choices) {
    const size = anyExtent(choices, 65)
    return {
      name: `of ${size}`,
      // Whole numbers in every format, so that some are equal.
      operands: [{ shape: [size], range: [-3, 3] }],
      apply: (x) => sorting.unique(x.round(), 7, -9).values,
      expected: (x) => padded(distinct({ ...x!, data: x!.data.map((value) => roundedEven(value)) }), 7, -9),
    }
  },
  nonZero(choices) {
    const shape = anyShape(choices, { elements: 100 })
    return {
      name: `[${shape}]`,
      operands: [{ shape, range: [-1, 1] }],
      apply: (x) => sorting.nonZero(x, 20),
      expected: (x) => padded([...x!.data].flatMap((value, i) => (value === 0 ? [] : [i])).slice(0, 20), 20, -1),
    }
  },
  binCount(choices) {
    const bins = anyExtent(choices, 9)
    const size = choices.pick([1, 0, 2, 17, 65])
    return {
      name: `${size} in ${bins}`,
      operands: [{ shape: [size], range: [-1, bins] }],
      apply: (x) => sorting.binCount(x, bins),
      expected: (x) =>
        listed(Array.from({ length: bins }, (_, bin) => [...x!.data].filter((value) => value === bin).length)),
    }
  },
}

/** Rounded to even, without a zero of its own for negative numbers. */
const roundedEven = (value: number): number => roundHalfEven(value) + 0
