import type { DType } from '../../../graph/format.ts'
import type { Shape } from '../../../graph/shape.ts'
import * as cumulative from '../../../tensor/cumulative.ts'
import * as sorting from '../../../tensor/sorting.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { fill, type HostTensor, mapRows } from '../host.ts'
import { awkwardShapes, everyFormat, filledShapes, floats, numbers, type OpCase, type OpTest } from '../op-test.ts'
import { anyAxis, anyShape } from '../shapes.ts'

/** Ops along an axis: cumulative ones and those that order. */

interface Settings {
  readonly formats?: readonly DType[]
  readonly gradient?: true | string
  readonly range?: readonly [number, number]
  readonly spacings?: OpTest['spacings']
  readonly shapes?: readonly Shape[]
  /** Drawn shapes have at least one element. */
  readonly filled?: boolean
}

function alongAxes(
  op: string,
  topic: string,
  apply: (x: Tensor, axis: number) => Tensor,
  value: (row: readonly number[]) => readonly number[],
  {
    formats = numbers,
    gradient = true,
    range = [-3, 3],
    spacings,
    shapes = awkwardShapes,
    filled = false,
  }: Settings = {},
): OpTest {
  const of = (shape: Shape, axis: number): OpCase => ({
    name: `[${shape}] along ${axis}`,
    operands: [{ shape, range }],
    apply: (x) => apply(x, axis),
    expected: (x) => mapRows(x!, axis, value),
  })
  const cases = shapes.flatMap((shape) => shape.map((_, axis) => of(shape, axis)))
  const property: OpTest['property'] = (choices) => {
    const shape = anyShape(choices, { least: 1, most: 3, filled, elements: 300 })
    return of(shape, anyAxis(choices, shape))
  }
  return { op, topic, cases, formats, gradient, property, ...(spacings && { spacings }) }
}

function running(combine: (a: number, b: number) => number, start: number) {
  return (row: readonly number[]): number[] => {
    let state = start
    return row.map((x) => {
      state = combine(state, x)
      return state
    })
  }
}
const backwards = (forwards: (row: readonly number[]) => readonly number[]) => (row: readonly number[]) =>
  [...forwards([...row].reverse())].reverse()

const add = running((a, b) => a + b, 0)
const multiply = running((a, b) => a * b, 1)
const rough = { relative: 64, absolute: 64 }

/** NaN last, ties in their order. */
const compare = (a: number, b: number) =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : a - b
const order = (row: readonly number[]) => row.map((_, i) => i).sort((i, j) => compare(row[i]!, row[j]!) || i - j)
const reverseOrder = (row: readonly number[]) => row.map((_, i) => i).sort((i, j) => compare(row[j]!, row[i]!) || i - j)
const inOrder = (positions: (row: readonly number[]) => readonly number[]) => (row: readonly number[]) =>
  positions(row).map((i) => row[i]!)

const specials: OpCase = {
  name: 'special numbers',
  operands: [
    {
      shape: [9],
      values: [3, Number.NaN, -0, 0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, -3, 3, Number.NaN],
    },
  ],
  formats: floats,
  apply: (x) => sorting.argSort(x),
  expected: (x) => mapRows(x!, 0, order),
}
const descendingSpecials: OpCase = {
  ...specials,
  name: 'special numbers, descending',
  apply: (x) => sorting.argSort(x, 0, { descending: true }),
  expected: (x) => mapRows(x!, 0, reverseOrder),
}

const argSort = alongAxes('argSort', 'sorting', (x, axis) => sorting.argSort(x, axis), order, {
  formats: everyFormat,
  gradient: 'positions',
})

export const quantileOf = (share: number) => (row: readonly number[]) => {
  const sorted = inOrder(order)(row)
  const position = share * (row.length - 1)
  const below = Math.floor(position)
  return [sorted[below]! + (position - below) * ((sorted[below + 1] ?? sorted[below]!) - sorted[below]!)]
}
export const flattened = (x: HostTensor, axis: number): HostTensor => ({
  ...x,
  shape: x.shape.filter((_, i) => i !== axis),
})

export function search(side: 'left' | 'right', sorted: Shape, values: Shape): OpCase {
  return {
    name: `${side}, [${values}] in [${sorted}]`,
    operands: [{ shape: sorted }, { shape: values, range: [-3, 3] }],
    apply: (x, y) => sorting.searchSorted(sorting.sort(x), y, side),
    expected: (x, y) => {
      const rows = mapRows(x!, sorted.length - 1, inOrder(order))
      return fill(values, (index) => {
        const start = sorted.length === 1 ? [] : index.slice(0, -1)
        const length = sorted.at(-1)!
        const row = start.reduce((offset, position, axis) => offset * sorted[axis]! + position, 0) * length
        const value = y!.data[index.reduce((offset, position, axis) => offset * values[axis]! + position, 0)]!
        const before = (element: number) => (side === 'left' ? element < value : element <= value)
        return [...rows.data.slice(row, row + length)].filter(before).length
      })
    },
  }
}

export const distinct = (x: HostTensor) => [...new Set(x.data)].sort((a, b) => a - b)
const integersOf = (shape: Shape) => [{ shape, range: [-3, 3] as const }]
export const listed = (values: readonly number[]): HostTensor => ({
  shape: [values.length],
  data: Float64Array.from(values),
})
export const padded = (values: readonly number[], size: number, rest: number) =>
  listed(Array.from({ length: size }, (_, i) => values[i] ?? rest))

const productOf = (values: readonly number[]): OpCase => ({
  name: `of ${values}`,
  operands: [{ shape: [values.length], values }],
  apply: (x) => cumulative.cumulativeProduct(x),
  expected: (x) => mapRows(x!, 0, multiply),
})

export const sequenceTests: readonly OpTest[] = [
  alongAxes('cumulativeSum', 'cumulative', (x, axis) => cumulative.cumulativeSum(x, axis), add, { spacings: rough }),
  alongAxes(
    'cumulativeSum, reverse',
    'cumulative',
    (x, axis) => cumulative.cumulativeSum(x, axis, { reverse: true }),
    backwards(add),
    {
      formats: [...floats, 'i32'],
      spacings: rough,
    },
  ),
  alongAxes('cumulativeProduct', 'cumulative', (x, axis) => cumulative.cumulativeProduct(x, axis), multiply, {
    formats: [...floats, 'i32'],
    range: [0.9, 1.1],
    spacings: { relative: 256, absolute: 1 },
  }),
  alongAxes(
    'cumulativeProduct, reverse',
    'cumulative',
    (x, axis) => cumulative.cumulativeProduct(x, axis, { reverse: true }),
    backwards(multiply),
    {
      formats: floats,
      range: [0.9, 1.1],
      spacings: { relative: 256, absolute: 1 },
    },
  ),
  {
    op: 'cumulativeProduct, with zeros',
    topic: 'cumulative',
    formats: ['f32', 'f64'],
    gradient: true,
    cases: [productOf([1.5, 0, -2, 0.5, 0, 3])],
    property: (choices) =>
      productOf(Array.from({ length: choices.integer(0, 9) }, () => choices.pick([1.5, 0, -2, 0.5]))),
  },
  alongAxes(
    'cumulativeMaximum',
    'cumulative',
    (x, axis) => cumulative.cumulativeMaximum(x, axis),
    running(Math.max, Number.NEGATIVE_INFINITY),
  ),
  alongAxes(
    'cumulativeMinimum',
    'cumulative',
    (x, axis) => cumulative.cumulativeMinimum(x, axis),
    running(Math.min, Number.POSITIVE_INFINITY),
  ),
  alongAxes(
    'cumulativeMaximum, reverse',
    'cumulative',
    (x, axis) => cumulative.cumulativeMaximum(x, axis, { reverse: true }),
    backwards(running(Math.max, Number.NEGATIVE_INFINITY)),
    { formats: floats },
  ),
  alongAxes(
    'cumulativeLogSumExp',
    'cumulative',
    (x, axis) => cumulative.cumulativeLogSumExp(x, axis),
    (row) => add(row.map(Math.exp)).map(Math.log),
    { formats: floats, spacings: rough },
  ),
  { ...argSort, cases: [...argSort.cases, specials, descendingSpecials] },
  alongAxes(
    'argSort, descending',
    'sorting',
    (x, axis) => sorting.argSort(x, axis, { descending: true }),
    reverseOrder,
    {
      formats: ['f32', 'u8', 'i32'],
      gradient: 'positions',
    },
  ),
  alongAxes('sort', 'sorting', (x, axis) => sorting.sort(x, axis), inOrder(order)),
  alongAxes(
    'topK',
    'sorting',
    (x, axis) => sorting.topK(x, Math.min(2, x.shape[axis]!), axis).values,
    (row) => inOrder(reverseOrder)(row).slice(0, 2),
    {
      shapes: filledShapes.filter((shape) => shape.length < 3 && shape[0] !== 133),
      filled: true,
    },
  ),
  alongAxes(
    'topK, smallest',
    'sorting',
    (x, axis) => sorting.topK(x, 1, axis, { largest: false }).indices,
    (row) => order(row).slice(0, 1),
    {
      shapes: filledShapes.filter((shape) => shape.length < 3 && shape[0] !== 133),
      filled: true,
      gradient: 'positions',
    },
  ),
  {
    op: 'quantile',
    topic: 'sorting',
    formats: ['f32', 'f64'],
    gradient: true,
    cases: [0, 0.3, 0.5, 1].map((share) => ({
      name: `share ${share}`,
      operands: [{ shape: [3, 7] }],
      apply: (x) => sorting.quantile(x, share, 1),
      expected: (x) => flattened(mapRows(x!, 1, quantileOf(share)), 1),
    })),
  },
  {
    op: 'median',
    topic: 'sorting',
    formats: ['f32', 'f64', 'i32'],
    gradient: true,
    cases: [6, 7].map((extent) => ({
      name: `of ${extent}`,
      operands: [{ shape: [extent, 2] }],
      apply: (x) => sorting.median(x, 0),
      expected: (x) => flattened(mapRows(x!, 0, quantileOf(0.5)), 0),
    })),
  },
  {
    op: 'searchSorted',
    topic: 'sorting',
    formats: ['f32', 'f64', 'i32'],
    gradient: 'positions',
    cases: (['left', 'right'] as const).flatMap((side) => [
      search(side, [17], [3, 5]),
      search(side, [1], [4]),
      search(side, [2, 8], [2, 3]),
      search(side, [0], [3]),
    ]),
  },
  {
    op: 'unique',
    topic: 'sorting',
    formats: ['i32', 'f32'],
    gradient: 'the number of values depends on them',
    cases: [
      {
        name: 'values',
        operands: [{ shape: [12], values: [3, 1, 3, -2, 1, 1, 0, 7, 7, 3, 0, 2] }],
        apply: (x) => sorting.unique(x, 8, -9).values,
        expected: (x) => padded(distinct(x!), 8, -9),
      },
      {
        name: 'counts',
        operands: [{ shape: [12], values: [3, 1, 3, -2, 1, 1, 0, 7, 7, 3, 0, 2] }],
        apply: (x) => sorting.unique(x, 8).counts,
        expected: (x) =>
          padded(
            distinct(x!).map((value) => [...x!.data].filter((other) => other === value).length),
            8,
            0,
          ),
      },
      {
        name: 'inverse and count',
        operands: [{ shape: [2, 3], values: [3, 1, 3, -2, 1, 1] }],
        apply: (x) => {
          const { inverse, count } = sorting.unique(x)
          return inverse.add(count.multiply(10))
        },
        expected: (x) => ({
          ...x!,
          data: x!.data.map((value) => distinct(x!).indexOf(value) + 10 * distinct(x!).length),
        }),
      },
      {
        name: 'of nothing',
        operands: [{ shape: [0] }],
        apply: (x) => sorting.unique(x, 2, 5).values,
        expected: () => listed([5, 5]),
      },
    ],
  },
  {
    op: 'nonZero',
    topic: 'sorting',
    formats: everyFormat,
    gradient: 'positions',
    cases: [
      {
        name: 'some',
        operands: [{ shape: [2, 3], values: [0, 1, 1, 0, 0, 1] }],
        apply: (x) => sorting.nonZero(x, 4),
        expected: () => listed([1, 2, 5, -1]),
      },
    ],
  },
  {
    op: 'binCount',
    topic: 'sorting',
    formats: ['i32'],
    gradient: 'counts',
    cases: [
      {
        name: 'integers, some out of range',
        operands: integersOf([40]),
        apply: (x) => sorting.binCount(x, 3),
        expected: (x) => listed([0, 1, 2].map((bin) => [...x!.data].filter((value) => value === bin).length)),
      },
    ],
  },
]
