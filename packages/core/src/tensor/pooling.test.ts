import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  averagePool1d,
  averagePool2d,
  averagePool3d,
  createRuntime,
  grad,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  ones,
  resize,
  type Tensor,
  tensor,
} from '../index.ts'
import { checkTensorGradient, randomNumbers } from '../testing/tensor-gradient.ts'

/** Windows of one axis as lists of positions in the input, −1 in the padding; the overhang is not listed. */
interface Axis {
  readonly extent: number
  readonly window: number
  readonly stride: number
  readonly dilation: number
  readonly low: number
  readonly high: number
  readonly ceil: boolean
}

function windowsOf({ extent, window, stride, dilation, low, high, ceil }: Axis): number[][] {
  const reach = (window - 1) * dilation + 1
  const result: number[][] = []
  for (let start = 0; ; start += stride) {
    const whole = start + reach <= extent + low + high
    const previousEnd = start - stride + reach
    const begins = ceil && start < extent + low && (start === 0 || previousEnd < extent + low + high)
    if (!whole && !begins) return result
    const places = Array.from({ length: window }, (_, tap) => start + tap * dilation)
    result.push(
      places
        .filter((place) => place < extent + low + high)
        .map((place) => (place >= low && place < low + extent ? place - low : -1)),
    )
  }
}

/** Pools rows of `[rows, ...extents]`; `pool` is told the values of a window and how many of its elements are padding. */
function pool(x: Float64Array, axes: readonly Axis[], combine: (values: number[], padding: number) => number) {
  const size = axes.reduce((product, { extent }) => product * extent, 1)
  const lists = axes.map(windowsOf)
  const result: number[] = []
  for (let row = 0; row < x.length / size; row++) {
    const walk = (axis: number, places: readonly number[][]): void => {
      if (axis < axes.length) {
        for (const list of lists[axis]!) walk(axis + 1, [...places, list])
        return
      }
      let positions: number[] = [0]
      places.forEach((list, i) => {
        positions = positions.flatMap((position) =>
          list.map((place) => (place < 0 || position < 0 ? -1 : position * axes[i]!.extent + place)),
        )
      })
      const inside = positions.filter((position) => position >= 0)
      result.push(
        combine(
          inside.map((position) => x[row * size + position]!),
          positions.length - inside.length,
        ),
      )
    }
    walk(0, [])
  }
  return result
}

const drawnAxes = (dilations: number) =>
  fc
    .record({
      ceil: fc.boolean(),
      axes: fc.array(
        fc
          .record({
            extent: fc.integer({ min: 1, max: 8 }),
            window: fc.integer({ min: 1, max: 5 }),
            stride: fc.integer({ min: 1, max: 4 }),
            dilation: fc.integer({ min: 1, max: dilations }),
            low: fc.nat(2),
            high: fc.nat(2),
          })
          .filter(
            ({ extent, window, low, high, dilation }) =>
              Math.max(low, high) <= window / 2 && (window - 1) * dilation + 1 <= extent + low + high,
          ),
        { minLength: 1, maxLength: 3 },
      ),
    })
    .map(({ axes, ceil }) => axes.map((axis): Axis => ({ ...axis, ceil })))

const optionsOf = (axes: readonly Axis[]) => ({
  stride: axes.map(({ stride }) => stride),
  dilation: axes.map(({ dilation }) => dilation),
  padding: axes.map(({ low, high }): [number, number] => [low, high]),
  ceil: axes[0]!.ceil,
})

describe('pooling against plain loops', () => {
  it('takes the largest element of each window', async () => {
    const runtime = await createRuntime()
    await fc.assert(
      fc.asyncProperty(drawnAxes(2), async (axes) => {
        const shape = [2, 3, ...axes.map(({ extent }) => extent)]
        const x = randomNumbers(shape, 'x')
        const y = [maxPool1d, maxPool2d, maxPool3d][axes.length - 1]!(
          tensor(x, shape),
          axes.map(({ window }) => window),
          optionsOf(axes),
        )
        const expected = pool(x, axes, (values) => Math.max(...values))
        expect([...(await y.data())]).toEqual(expected)
      }),
      { numRuns: 60 },
    )
    await runtime.close()
  })

  it.each([true, false])('takes the mean of each window, padding counted: %s', async (countPadding) => {
    const runtime = await createRuntime()
    await fc.assert(
      fc.asyncProperty(drawnAxes(1), async (axes) => {
        const shape = [1, 2, ...axes.map(({ extent }) => extent)]
        const x = randomNumbers(shape, 'x')
        const y = [averagePool1d, averagePool2d, averagePool3d][axes.length - 1]!(
          tensor(x, shape),
          axes.map(({ window }) => window),
          { ...optionsOf(axes), countPadding },
        )
        const expected = pool(
          x,
          axes,
          (values, padding) => values.reduce((a, b) => a + b, 0) / (values.length + (countPadding ? padding : 0)),
        )
        const actual = await y.data()
        expect(actual.length).toBe(expected.length)
        expected.forEach((value, i) => {
          expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-12)
        })
      }),
      { numRuns: 60 },
    )
    await runtime.close()
  })

  it('pools adaptively over windows that cover the axis', async () => {
    const runtime = await createRuntime()
    const rows = (size: number, extent: number) =>
      Array.from({ length: size }, (_, i) => [
        Math.floor((i * extent) / size),
        Math.ceil(((i + 1) * extent) / size),
      ]) as [number, number][]
    for (const [height, width, tall, wide] of [
      [7, 5, 3, 2],
      [4, 6, 2, 3],
      [5, 5, 1, 1],
      [3, 2, 5, 4],
    ] as const) {
      const x = randomNumbers([1, 1, height, width], 'x')
      const windows = rows(tall, height).flatMap(([top, bottom]) =>
        rows(wide, width).map(([left, right]) =>
          [...x].filter((_, i) => {
            const [row, column] = [Math.floor(i / width), i % width]
            return row >= top && row < bottom && column >= left && column < right
          }),
        ),
      )
      const mean = adaptiveAveragePool2d(tensor(x, [1, 1, height, width]), [tall, wide])
      const most = adaptiveMaxPool2d(tensor(x, [1, 1, height, width]), [tall, wide])
      expect(mean.shape).toEqual([1, 1, tall, wide])
      const means = await mean.data()
      windows.forEach((values, i) => {
        expect(means[i]).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 12)
      })
      expect([...(await most.data())]).toEqual(windows.map((values) => Math.max(...values)))
    }
    await runtime.close()
  })
})

const cases: Record<string, [(x: Tensor) => Tensor, number[]]> = {
  'max, windows side by side': [(x) => maxPool2d(x, 2), [2, 2, 4, 6]],
  'max, windows that overlap': [(x) => maxPool2d(x, 3, { stride: 2, padding: 1 }), [1, 2, 5, 6]],
  'max, last windows outside': [(x) => maxPool2d(x, 2, { ceil: true }), [1, 1, 3, 5]],
  'max, dilated, large': [(x) => maxPool1d(x, 18, { stride: 1, dilation: 2, padding: 5 }), [1, 1, 30]],
  'max, volumes': [(x) => maxPool3d(x, [1, 2, 2], { stride: 1 }), [1, 1, 2, 3, 3]],
  'average, windows side by side': [(x) => averagePool2d(x, [2, 3]), [2, 1, 4, 6]],
  'average without padding': [
    (x) => averagePool2d(x, 3, { stride: 2, padding: 1, countPadding: false, ceil: true }),
    [1, 2, 4, 5],
  ],
  'average, large': [(x) => averagePool2d(x, 5, { stride: 1, padding: 2 }), [1, 1, 6, 5]],
  'adaptive average': [(x) => adaptiveAveragePool1d(x, 3), [2, 2, 7]],
  'adaptive maximum': [(x) => adaptiveMaxPool3d(x, [1, 2, 2]), [1, 1, 2, 5, 3]],
  'resize to the nearest': [(x) => resize(x, [6, 3]), [1, 2, 3, 4]],
  'resize linearly': [(x) => resize(x, [7, 2], { mode: 'linear' }), [1, 2, 3, 4]],
}

describe.each([true, false])('gradients of pooling against finite differences, fused: %s', (fuse) => {
  it.each(Object.entries(cases))('%s', async (name, [body, shape]) => {
    const runtime = await createRuntime({ fuse })
    const second = fuse && (name.includes('overlap') || name.includes('without padding'))
    await checkTensorGradient((x) => body(x!), [shape], { second })
    await runtime.close()
  })

  it('goes to the first of several largest elements', async () => {
    const runtime = await createRuntime({ fuse })
    const x = tensor([[[1, 1, 1, 0]]])
    const gradient = (options: object) => grad((x: Tensor) => maxPool1d(x, 2, options).sum())(x) as Tensor
    expect([...(await gradient({}).data())]).toEqual([1, 0, 1, 0])
    expect([...(await gradient({ stride: 1 }).data())]).toEqual([1, 1, 1, 0])
    await runtime.close()
  })
})

describe('resize', () => {
  // Values of torch.nn.functional.interpolate (PyTorch 1.13).
  it('gives the values of other libraries', async () => {
    const runtime = await createRuntime()
    const x = tensor([[[1, 2, 3, 4, 5]]])
    const values = async (size: number, options: Parameters<typeof resize>[2]) =>
      [...(await resize(x, size, options).data())].map((value) => Number(value.toFixed(4)))
    expect(await values(3, {})).toEqual([1, 2, 4])
    expect(await values(10, {})).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    expect(await values(3, { mode: 'linear' })).toEqual([1.3333, 3, 4.6667])
    expect(await values(8, { mode: 'linear' })).toEqual([1, 1.4375, 2.0625, 2.6875, 3.3125, 3.9375, 4.5625, 5])
    expect(await values(3, { mode: 'linear', alignCorners: true })).toEqual([1, 3, 5])
    await runtime.close()
  })
})

describe('options of pooling', () => {
  it('says what does not fit', () => {
    expect(() => maxPool2d(ones([2, 4, 4]), 2)).toThrow('maxPool2d: expects [N, C, height, width], got f32[2, 4, 4]')
    expect(() => maxPool2d(ones([1, 2, 4, 4]), 2, { padding: 2 })).toThrow('from 0 to half of the window')
    expect(() => maxPool2d(ones([1, 2, 4, 4]), 5)).toThrow('reaches over 5 elements does not fit spatial axis 0')
    expect(() => averagePool2d(ones([1, 2, 4, 4]), 0)).toThrow('integers ≥ 1')
    expect(() => maxPool1d(tensor(new Int32Array(4), [1, 1, 4]), 2)).toThrow('takes floats')
    expect(() => adaptiveAveragePool2d(ones([1, 2, 4, 4]), 0)).toThrow('integers ≥ 1')
    expect(() => resize(ones([1, 2, 4]), [1, 2])).toThrow('one for each of 1 spatial axes')
  })
})
