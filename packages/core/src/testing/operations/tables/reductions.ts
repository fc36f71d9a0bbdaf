import type { DType } from '../../../graph/format.ts'
import type { Axes } from '../../../graph/reductions.ts'
import type { Shape } from '../../../graph/shape.ts'
import * as reductions from '../../../tensor/reductions.ts'
import type { ReduceOptions, Tensor } from '../../../tensor/tensor.ts'
import { mapRows, reduceElements, withoutAxes } from '../host.ts'
import { awkwardShapes, everyFormat, filledShapes, floats, numbers, type OpCase, type OpTest } from '../op-test.ts'
import { anyAxis, anyExtent, anyShape, someAxes } from '../shapes.ts'

type Reduce = (x: Tensor, axes?: Axes, options?: ReduceOptions) => Tensor

interface Settings {
  readonly formats?: readonly DType[]
  readonly gradient?: true | string
  /** False where no elements have no result. */
  readonly empty?: boolean
  readonly range?: readonly [number, number]
  readonly spacings?: OpTest['spacings']
}

/** Over all axes, each single one, and two at once. */
function reduction(
  op: string,
  apply: Reduce,
  value: (elements: readonly number[]) => number,
  { formats = floats, gradient = true, empty = true, range = [-2, 2], spacings }: Settings = {},
): OpTest {
  const whole = (shape: Shape): OpCase => {
    const all = shape.map((_, axis) => axis)
    return {
      name: `[${shape}]`,
      operands: [{ shape, range }],
      apply: (x) => apply(x),
      expected: (x) => withoutAxes(reduceElements(x!, all, value), all),
    }
  }
  const partial = (shape: Shape, axes: readonly number[], keepDims: boolean): OpCase => ({
    name: `[${shape}] over ${axes.join(' and ')}${keepDims ? ', which are kept' : ''}`,
    operands: [{ shape, range }],
    apply: (x) => apply(x, keepDims ? axes : axes.map((axis) => axis - shape.length), { keepDims }),
    expected: (x) => {
      const kept = reduceElements(x!, axes, value)
      return keepDims ? kept : withoutAxes(kept, axes)
    },
  })
  const cases = (empty ? awkwardShapes : filledShapes).flatMap((shape): OpCase[] => {
    if (shape.length === 0) return [whole(shape)]
    const pairs =
      shape.length === 3
        ? [
            [0, 2],
            [1, 2],
          ]
        : []
    const choices: readonly (readonly number[])[] = [...shape.map((_, axis) => [axis]), ...pairs]
    return [whole(shape), ...choices.map((axes, i) => partial(shape, axes, i % 2 === 0))]
  })
  const property: OpTest['property'] = (choices) => {
    const shape = anyShape(choices, { filled: !empty })
    return choices.integer(0, 3) === 0
      ? whole(shape)
      : partial(shape, someAxes(choices, shape), choices.integer(0, 1) === 1)
  }
  return { op, topic: 'reductions', cases, formats, gradient, property, ...(spacings && { spacings }) }
}

const sum = (elements: readonly number[]) => elements.reduce((total, x) => total + x, 0)
const mean = (elements: readonly number[]) => sum(elements) / elements.length
const squares = (elements: readonly number[]) => elements.map((x) => (x - mean(elements)) ** 2)

function position(
  op: string,
  apply: (x: Tensor, axis: number) => Tensor,
  best: (row: readonly number[]) => number,
): OpTest {
  const of = (shape: Shape, axis: number): OpCase => ({
    name: `[${shape}] over ${axis}`,
    operands: [{ shape, range: [-3, 3] }],
    apply: (x) => apply(x, axis),
    expected: (x) =>
      withoutAxes(
        mapRows(x!, axis, (row) => [row.indexOf(best(row))]),
        [axis],
      ),
  })
  const cases = filledShapes.flatMap((shape) => shape.map((_, axis) => of(shape, axis)))
  const property: OpTest['property'] = (choices) => {
    const shape = anyShape(choices, { least: 1, filled: true })
    return of(shape, anyAxis(choices, shape))
  }
  const withNaN: OpCase = {
    name: 'the first NaN',
    operands: [{ shape: [5], values: [1, 9, Number.NaN, -3, Number.NaN] }],
    formats: floats,
    apply: (x) => apply(x, 0),
    expected: () => ({ shape: [], data: Float64Array.of(2) }),
  }
  return { op, topic: 'reductions', cases: [...cases, withNaN], formats: numbers, gradient: 'an index', property }
}

/** With a correction of 1, so more than one element is needed. */
function unbiased(
  op: string,
  apply: (x: Tensor, axes?: Axes, options?: reductions.VarianceOptions) => Tensor,
  then: (variance: number) => number,
): OpTest {
  const value = (elements: readonly number[]) => then(sum(squares(elements)) / (elements.length - 1))
  const of = (shape: Shape): OpCase => {
    const axes = [shape.length - 1]
    return {
      name: `[${shape}]`,
      operands: [{ shape }],
      apply: (x) => apply(x, axes, { correction: 1 }),
      expected: (x) => withoutAxes(reduceElements(x!, axes, value), axes),
    }
  }
  const cases = [[7], [3, 5], [2, 3, 17]].map(of)
  const property: OpTest['property'] = (choices) =>
    of([...anyShape(choices, { most: 2, elements: 60 }), 1 + anyExtent(choices, 33)])
  return { op, topic: 'reductions', cases, formats: floats, gradient: true, spacings: rough, property }
}

const rough = { relative: 64, absolute: 64 }
const counts = 'a count'

export const reductionTests: readonly OpTest[] = [
  reduction('sum', (x, axes, options) => x.sum(axes, options), sum, {
    formats: [...floats, 'i32', 'u32'],
    spacings: rough,
  }),
  reduction('mean', (x, axes, options) => x.mean(axes, options), mean, {
    empty: false,
    spacings: rough,
    formats: [...floats, 'i32'],
  }),
  reduction(
    'product',
    (x, axes, options) => x.product(axes, options),
    (elements) => elements.reduce((total, x) => total * x, 1),
    {
      range: [0.9, 1.1],
      spacings: { relative: 256, absolute: 1 },
      formats: [...floats, 'i32'],
    },
  ),
  reduction(
    'max',
    (x, axes, options) => x.max(axes, options),
    (elements) => Math.max(...elements),
    { empty: false, formats: numbers, range: [-90, 90] },
  ),
  reduction(
    'min',
    (x, axes, options) => x.min(axes, options),
    (elements) => Math.min(...elements),
    { empty: false, formats: numbers, range: [-90, 90] },
  ),
  reduction(
    'variance',
    (x, axes, options) => x.variance(axes, options),
    (elements) => mean(squares(elements)),
    { empty: false, spacings: rough },
  ),
  unbiased('varianceOf', reductions.varianceOf, (x) => x),
  unbiased('standardDeviation', reductions.standardDeviation, Math.sqrt),
  reduction('any', reductions.any, (elements) => Number(elements.some((x) => x !== 0)), {
    formats: everyFormat,
    gradient: 'true or false',
  }),
  reduction('all', reductions.all, (elements) => Number(elements.every((x) => x !== 0)), {
    formats: everyFormat,
    gradient: 'true or false',
  }),
  reduction('countNonZero', reductions.countNonZero, (elements) => elements.filter((x) => x !== 0).length, {
    formats: everyFormat,
    gradient: counts,
  }),
  reduction('logSumExp', reductions.logSumExp, (elements) => Math.log(sum(elements.map(Math.exp))), {
    empty: false,
    spacings: rough,
  }),
  reduction(
    'norm',
    (x, axes, options) => reductions.norm(x, 2, axes, options),
    (elements) => Math.sqrt(sum(elements.map((x) => x * x))),
    { spacings: rough },
  ),
  reduction(
    'norm, order 1',
    (x, axes, options) => reductions.norm(x, 1, axes, options),
    (elements) => sum(elements.map(Math.abs)),
    { spacings: rough },
  ),
  reduction(
    'norm, order 3',
    (x, axes, options) => reductions.norm(x, 3, axes, options),
    (elements) => sum(elements.map((x) => Math.abs(x) ** 3)) ** (1 / 3),
    {
      empty: false,
      spacings: { relative: 256, absolute: 256 },
    },
  ),
  reduction(
    'norm, largest',
    (x, axes, options) => reductions.norm(x, Number.POSITIVE_INFINITY, axes, options),
    (elements) => Math.max(...elements.map(Math.abs)),
    {
      empty: false,
    },
  ),
  position(
    'argMax',
    (x, axis) => x.argMax(axis),
    (row) => Math.max(...row),
  ),
  position(
    'argMin',
    (x, axis) => x.argMin(axis),
    (row) => Math.min(...row),
  ),
]
