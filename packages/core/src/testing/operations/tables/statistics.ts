import type { DType } from '../../../graph/format.ts'
import type { Axes } from '../../../graph/reductions.ts'
import { type Shape, sizeOf } from '../../../graph/shape.ts'
import { roundHalfEven } from '../../../run/reference/elementwise.ts'
import { range } from '../../../tensor/create.ts'
import * as statistics from '../../../tensor/statistics.ts'
import type { ReduceOptions, Tensor } from '../../../tensor/tensor.ts'
import { at, fill, mapElements, mapRows, reduceElements, withoutAxes } from '../host.ts'
import { floats, numbers, type OpCase, type OpTest } from '../op-test.ts'
import { anyAxis, anyExtent, anyShape, someAxes } from '../shapes.ts'

const exactFloats: readonly DType[] = ['f32', 'f64']
const rough = { relative: 64, absolute: 64 }
const none = Number.NaN

function statistic(op: string, cases: readonly OpCase[], settings: Partial<OpTest>): OpTest {
  return { op, topic: 'statistics', cases, formats: exactFloats, gradient: true, spacings: rough, ...settings }
}

const sum = (elements: readonly number[]) => elements.reduce((total, x) => total + x, 0)
const mean = (elements: readonly number[]) => sum(elements) / elements.length

/** A reduction of the elements that are not NaN. */
function ofNumbers(
  op: string,
  apply: (x: Tensor, axes?: Axes, options?: ReduceOptions) => Tensor,
  value: (elements: readonly number[]) => number,
  formats: readonly DType[] = floats,
): OpTest {
  const kept = (elements: readonly number[]) => value(elements.filter((x) => !Number.isNaN(x)))
  const of = (shape: Shape, axes: readonly number[], values: readonly number[] = []): OpCase => ({
    name: `[${shape}] over ${axes}`,
    operands: [{ shape, values }],
    apply: (x) => apply(x, axes),
    expected: (x) => withoutAxes(reduceElements(x!, axes, kept), axes),
    ...(values.some(Number.isNaN) && { formats: floats, differentiable: false }),
  })
  const withNaN = of([3, 3], [1], [1, none, 3, none, none, none, -2, 5, none])
  return statistic(op, [of([7], [0]), of([2, 3, 4], [0, 2]), withNaN], {
    formats,
    property: (choices) => {
      const shape = anyShape(choices, { filled: true, elements: 300 })
      // The first elements only: one NaN among many shows what a whole row of them does.
      const values = Array.from({ length: choices.integer(0, 8) }, () => choices.pick([0.5, none, -1]))
      return of(shape, someAxes(choices, shape), values.slice(0, sizeOf(shape)))
    },
  })
}

function together(op: string, apply: (x: Tensor) => Tensor, scale: 'correlation' | number): OpTest {
  const of = (shape: Shape): OpCase => ({
    name: `[${shape}]`,
    operands: [{ shape }],
    apply,
    expected: (x) => {
      const row = (index: readonly number[], i: number) =>
        Array.from({ length: shape.at(-1)! }, (_, k) => at(x!, [...index, i, k]))
      const product = (a: readonly number[], b: readonly number[]) =>
        sum(a.map((value, k) => (value - mean(a)) * (b[k]! - mean(b))))
      return fill([...shape.slice(0, -1), shape.at(-2)!], (index) => {
        const [a, b] = [row(index.slice(0, -2), index.at(-2)!), row(index.slice(0, -2), index.at(-1)!)]
        return scale === 'correlation'
          ? product(a, b) / Math.sqrt(product(a, a) * product(b, b))
          : product(a, b) / (a.length - scale)
      })
    },
  })
  return statistic(op, [of([3, 7]), of([2, 2, 5])], {
    spacings: { relative: 256, absolute: 256 },
    // Observations that are repeated along an axis would vary by rounding alone.
    property: (choices) => {
      const shape = [
        ...anyShape(choices, { most: 1, filled: true, elements: 3 }),
        anyExtent(choices, 5),
        2 + anyExtent(choices, 17),
      ]
      const ramp = (x: Tensor) => x.add(range(shape.at(-1)!).cast(x.dtype).multiply(0.5))
      const test = of(shape)
      return {
        ...test,
        apply: (x) => apply(ramp(x)),
        expected: (x) => test.expected(fill(shape, (index) => at(x!, index) + index.at(-1)! / 2)),
      }
    },
  })
}

const counted = (size: number, bins: number): OpCase => ({
  name: `${size} in ${bins} bins`,
  operands: [{ shape: [size], range: [-1.5, 2.5] }],
  apply: (x) => statistics.histogram(x, bins, -1, 2),
  expected: (x) =>
    fill([bins], ([bin]) => {
      const inside = [...x!.data].filter((value) => value >= -1 && value <= 2)
      return inside.filter((value) => Math.min(Math.floor(((value + 1) * bins) / 3), bins - 1) === bin).length
    }),
})

const differences = (shape: Shape, axis: number, order: number): OpCase => ({
  name: `order ${order} of [${shape}] along ${axis}`,
  operands: [{ shape }],
  apply: (x) => statistics.difference(x, axis, order),
  expected: (x) => {
    let result = x!
    for (let i = 0; i < order; i++) {
      const previous = result
      const shorter = previous.shape.map((extent, k) => (k === axis ? extent - 1 : extent))
      result = fill(shorter, (index) => {
        const next = index.map((position, k) => (k === axis ? position + 1 : position))
        return at(previous, next) - at(previous, index)
      })
    }
    return result
  },
})

const integral = (shape: Shape, axis: number): OpCase => ({
  name: `[${shape}] along ${axis}`,
  operands: [{ shape }],
  apply: (y) => statistics.trapezoid(y, 0.5, axis),
  expected: (y) =>
    withoutAxes(
      mapRows(y!, axis, (row) => [sum(row.slice(1).map((value, i) => (value + row[i]!) / 4))]),
      [axis],
    ),
})

function polyline(shape: Shape, points: number): OpCase {
  // Distinct positions: steps of 1 and 2 from −2 on.
  const positions = Array.from({ length: points }, (_, i) => i + Math.floor(i / 2) - 2)
  return {
    name: `[${shape}] on ${points} points`,
    operands: [{ shape, range: [-3, 4] }, { shape: [points], dtype: 'f32', values: positions }, { shape: [points] }],
    apply: (x, p, y) => statistics.interpolate(x, p.cast(x.dtype), y),
    expected: (x, _, y) =>
      mapElements((value) => {
        const last = points - 1
        if (value <= positions[0]!) return y!.data[0]!
        if (value >= positions[last]!) return y!.data[last]!
        const k = positions.findIndex((position) => position > value)
        const share = (value - positions[k - 1]!) / (positions[k]! - positions[k - 1]!)
        return y!.data[k - 1]! + share * (y!.data[k]! - y!.data[k - 1]!)
      }, x!),
  }
}

const membership = (shape: Shape, count: number): OpCase => ({
  name: `[${shape}] in ${count}`,
  operands: [
    { shape, range: [-3, 3] },
    { shape: [count], range: [-3, 3] },
  ],
  apply: (x, values) => statistics.isIn(x.round(), values.round()),
  expected: (x, values) => {
    const rounded = [...values!.data].map((value) => roundHalfEven(value))
    return mapElements((value) => Number(rounded.includes(roundHalfEven(value))), x!)
  },
})

const extremeOf = (of: (...elements: number[]) => number) => (elements: readonly number[]) =>
  elements.length > 0 ? of(...elements) : none

export const statisticTests: readonly OpTest[] = [
  ofNumbers('nanSum', statistics.nanSum, sum),
  ofNumbers('nanMean', statistics.nanMean, mean),
  ofNumbers('nanVariance', statistics.nanVariance, (elements) => mean(elements.map((x) => (x - mean(elements)) ** 2))),
  ofNumbers('nanMaximum', statistics.nanMaximum, extremeOf(Math.max), numbers),
  ofNumbers('nanMinimum', statistics.nanMinimum, extremeOf(Math.min), numbers),
  together('covariance', (x) => statistics.covariance(x), 1),
  together('correlation', (x) => statistics.correlation(x), 'correlation'),
  statistic('histogram', [counted(40, 4), counted(0, 2)], {
    gradient: 'counts',
    property: (choices) => counted(anyExtent(choices, 65), anyExtent(choices, 17)),
  }),
  statistic('difference', [differences([7], 0, 1), differences([2, 5], 1, 3), differences([3], 0, 0)], {
    formats: ['f32', 'f64', 'i32'],
    property: (choices) => {
      const shape = anyShape(choices, { least: 1, most: 3, filled: true })
      const axis = anyAxis(choices, shape)
      return differences(shape, axis, choices.integer(0, Math.min(3, shape[axis]!)))
    },
  }),
  statistic('trapezoid', [integral([7], 0), integral([3, 1], 1), integral([2, 5], 0)], {
    property: (choices) => {
      const shape = anyShape(choices, { least: 1, most: 3, filled: true })
      return integral(shape, anyAxis(choices, shape))
    },
  }),
  statistic('interpolate', [polyline([9], 5), polyline([2, 3], 1), polyline([33], 2)], {
    property: (choices) => polyline(anyShape(choices, { most: 2, elements: 100 }), anyExtent(choices, 9)),
  }),
  statistic('isIn', [membership([7], 3), membership([2, 3], 0)], {
    formats: ['f32', 'f64', 'i32'],
    gradient: 'true or false',
    property: (choices) => membership(anyShape(choices, { most: 2, elements: 60 }), choices.pick([1, 0, 2, 9])),
  }),
]
