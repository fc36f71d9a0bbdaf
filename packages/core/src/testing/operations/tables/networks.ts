import type { DType } from '../../../graph/format.ts'
import { type Shape, sizeOf } from '../../../graph/shape.ts'
import { attention } from '../../../tensor/attention.ts'
import * as convolution from '../../../tensor/convolution.ts'
import { crossEntropyLosses } from '../../../tensor/losses.ts'
import { layerNorm } from '../../../tensor/normalization.ts'
import * as pooling from '../../../tensor/pooling.ts'
import { resize } from '../../../tensor/resize.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { at, fill, type HostTensor, indicesOf, mapRows } from '../host.ts'
import { floats, type OpCase, type OpTest } from '../op-test.ts'

/** Ops of neural networks against plain loops. */

const exactFloats: readonly DType[] = ['f32', 'f64']
const rough = { relative: 128, absolute: 128 }

function network(op: string, cases: readonly OpCase[], settings: Partial<OpTest> = {}): OpTest {
  return { op, topic: 'neural networks', cases, formats: exactFloats, gradient: true, spacings: rough, ...settings }
}

interface Geometry {
  readonly stride: number
  readonly padding: number
  readonly dilation: number
  readonly groups: number
}

/** Spatial extents that `rank` axes of these cases have. */
const spatial = (rank: number, extent: number): number[] => new Array<number>(rank).fill(extent)

/** A convolution: shapes of its input `[N, C, ...]`, filter `[K, C / groups, ...]` and output `[N, K, ...]`. */
export interface Convolution extends Geometry {
  readonly input: Shape
  readonly filter: Shape
  readonly output: Shape
}

export function convolutionOf(input: Shape, filter: Shape, geometry: Geometry): Convolution {
  const { stride, padding, dilation } = geometry
  const positions = input.slice(2).map((extent, axis) => {
    const reach = (filter[axis + 2]! - 1) * dilation + 1
    return Math.floor((extent + 2 * padding - reach) / stride) + 1
  })
  return { ...geometry, input, filter, output: [input[0]!, filter[0]!, ...positions] }
}

/** One of each: stride 2, dilation 1, padding 1, two groups. */
const usual = (rank: number): Convolution =>
  convolutionOf([2, 4, ...spatial(rank, 5)], [6, 2, ...spatial(rank, 3)], {
    stride: 2,
    padding: 1,
    dilation: 1,
    groups: 2,
  })

/** Visits every product of a convolution: input index, filter index and output index, each with batch or channels first. */
function eachTerm(
  { input, filter, output, stride, padding, dilation, groups }: Convolution,
  visit: (input: number[], filter: number[], output: number[]) => void,
): void {
  const perGroup = filter[0]! / groups
  for (const to of indicesOf(output)) {
    for (const tap of indicesOf(filter.slice(1))) {
      const [channel, ...offsets] = tap as [number, ...number[]]
      const position = offsets.map((offset, axis) => to[axis + 2]! * stride + offset * dilation - padding)
      if (position.some((i, axis) => i < 0 || i >= input[axis + 2]!)) continue
      const source = Math.floor(to[1]! / perGroup) * filter[1]! + channel
      visit([to[0]!, source, ...position], [to[1]!, ...tap], to)
    }
  }
}

type Convolve = (x: Tensor, w: Tensor, options: Geometry & { readonly outputPadding?: readonly number[] }) => Tensor

const nameOf = ({ input, filter, stride, padding, dilation, groups }: Convolution) =>
  `[${input}] with [${filter}], stride ${stride}, padding ${padding}, dilation ${dilation}, ${groups} groups`

export function convolved(convolution: Convolution, apply: Convolve): OpCase {
  const { input, filter, output, stride, padding, dilation, groups } = convolution
  return {
    name: nameOf(convolution),
    operands: [{ shape: input }, { shape: filter }],
    apply: (x, w) => apply(x, w, { stride, padding, dilation, groups }),
    expected: (x, w) => {
      const result = fill(output, () => 0)
      eachTerm(convolution, (from, tap, to) => {
        result.data[flat(output, to)]! += at(x!, from) * at(w!, tap)
      })
      return result
    },
  }
}

/** The gradient of a convolution towards its input. */
export function transposed(convolution: Convolution, apply: Convolve): OpCase {
  const { input, filter, output, stride, padding, dilation, groups } = convolution
  const smallest = output
    .slice(2)
    .map((extent, axis) => (extent - 1) * stride + (filter[axis + 2]! - 1) * dilation + 1 - 2 * padding)
  const outputPadding = smallest.map((extent, axis) => input[axis + 2]! - extent)
  return {
    name: nameOf(convolution),
    operands: [{ shape: output }, { shape: filter }],
    apply: (x, w) => apply(x, w, { stride, padding, dilation, groups, outputPadding }),
    expected: (x, w) => {
      const result = fill(input, () => 0)
      eachTerm(convolution, (from, tap, to) => {
        result.data[flat(input, from)]! += at(x!, to) * at(w!, tap)
      })
      return result
    },
  }
}

const flat = (shape: Shape, index: readonly number[]): number =>
  index.reduce((offset, i, axis) => offset * shape[axis]! + i, 0)

/** The elements of each window of an `[N, C, …]` tensor, without those of the padding. */
function windows(
  x: HostTensor,
  size: readonly number[],
  range: (axis: number, position: number) => readonly [start: number, end: number],
  value: (elements: readonly number[], whole: number) => number,
): HostTensor {
  return fill([x.shape[0]!, x.shape[1]!, ...size], ([n, c, ...position]) => {
    const ranges = position.map((i, axis) => range(axis, i))
    const elements: number[] = []
    for (const offset of indicesOf(ranges.map(([start, end]) => end - start))) {
      const index = offset.map((k, axis) => ranges[axis]![0] + k)
      if (index.every((i, axis) => i >= 0 && i < x.shape[axis + 2]!)) elements.push(at(x, [n!, c!, ...index]))
    }
    return value(elements, sizeOf(ranges.map(([start, end]) => end - start)))
  })
}

type Pool = (x: Tensor, window: number, options: { stride: number; padding: number }) => Tensor

/** Windows over the spatial axes of a shape `[N, C, ...]`. */
export interface Windows {
  readonly shape: Shape
  readonly window: number
  readonly stride: number
  readonly padding: number
}

const threes = (rank: number): Windows => ({ shape: [2, 2, ...spatial(rank, 5)], window: 3, stride: 2, padding: 1 })

export function pooled(
  { shape, window, stride, padding }: Windows,
  apply: Pool,
  value: (elements: readonly number[], whole: number) => number,
): OpCase {
  const positions = shape.slice(2).map((extent) => Math.floor((extent + 2 * padding - window) / stride) + 1)
  return {
    name: `[${shape}], windows of ${window}, stride ${stride}, padding ${padding}`,
    operands: [{ shape }],
    apply: (x) => apply(x, window, { stride, padding }),
    expected: (x) => windows(x!, positions, (_, i) => [stride * i - padding, stride * i - padding + window], value),
  }
}

export function adaptive(
  shape: Shape,
  size: number,
  apply: (x: Tensor, size: number) => Tensor,
  value: (elements: readonly number[]) => number,
): OpCase {
  const range = (axis: number, i: number) => {
    const extent = shape[axis + 2]!
    return [Math.floor((extent * i) / size), Math.ceil((extent * (i + 1)) / size)] as const
  }
  return {
    name: `[${shape}] to ${size}`,
    operands: [{ shape }],
    apply: (x) => apply(x, size),
    expected: (x) => windows(x!, spatial(shape.length - 2, size), range, value),
  }
}

const fives = (rank: number): Shape => [2, 2, ...spatial(rank, 5)]

export const largest = (elements: readonly number[]) => Math.max(...elements)
const sum = (elements: readonly number[]) => elements.reduce((total, x) => total + x, 0)
export const mean = (elements: readonly number[]) => sum(elements) / elements.length
export const meanWithPadding = (elements: readonly number[], whole: number) => sum(elements) / whole

export function softmax(row: readonly number[]): number[] {
  const exponentials = row.map((x) => Math.exp(x - largest(row)))
  return exponentials.map((x) => x / sum(exponentials))
}

export function attended(q: HostTensor, k: HostTensor, v: HostTensor, causal: boolean): HostTensor {
  const [queries, keys, width] = [q.shape.at(-2)!, k.shape.at(-2)!, q.shape.at(-1)!]
  return fill([...q.shape.slice(0, -1), v.shape.at(-1)!], (index) => {
    const [outer, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!]
    const scores = Array.from({ length: keys }, (_, j) => {
      if (causal && j > row + keys - queries) return Number.NEGATIVE_INFINITY
      let score = 0
      for (let d = 0; d < width; d++) score += at(q, [...outer, row, d]) * at(k, [...outer, j, d])
      return score / Math.sqrt(width)
    })
    return sum(softmax(scores).map((weight, j) => weight * at(v, [...outer, j, column])))
  })
}

export const interpolated = (x: HostTensor, size: number): HostTensor =>
  fill([x.shape[0]!, x.shape[1]!, size, size], ([n, c, ...position]) => {
    const sides = position.map((i, axis) => {
      const extent = x.shape[axis + 2]!
      const source = Math.max(((i + 0.5) * extent) / size - 0.5, 0)
      const below = Math.floor(source)
      return [below, Math.min(below + 1, extent - 1), source - below] as const
    }) as [readonly [number, number, number], readonly [number, number, number]]
    const [[top, bottom, v], [left, right, h]] = sides
    const line = (row: number) => (1 - h) * at(x, [n!, c!, row, left]) + h * at(x, [n!, c!, row, right])
    return (1 - v) * line(top) + v * line(bottom)
  })

export const networkTests: readonly OpTest[] = [
  network(
    'layerNorm',
    [
      {
        name: 'with gain and bias',
        operands: [{ shape: [3, 7] }, { shape: [7] }, { shape: [7] }],
        apply: (x, gain, bias) => layerNorm(x, gain, bias),
        expected: (x, gain, bias) =>
          mapRows(x!, 1, (row) => {
            const center = mean(row)
            const deviation = Math.sqrt(mean(row.map((value) => (value - center) ** 2)) + 1e-5)
            return row.map((value, i) => ((value - center) / deviation) * gain!.data[i]! + bias!.data[i]!)
          }),
      },
    ],
    { formats: floats },
  ),
  network(
    'crossEntropyLosses',
    [
      {
        name: 'one target for each row',
        operands: [
          { shape: [2, 3, 5], range: [-4, 4] },
          { shape: [2, 3], range: [0, 4], dtype: 'i32' },
        ],
        apply: (x, targets) => crossEntropyLosses(x, targets),
        expected: (x, targets) => {
          const logs = mapRows(x!, 2, (row) => softmax(row).map((p) => -Math.log(p)))
          return fill([2, 3], ([i, j]) => at(logs, [i!, j!, at(targets!, [i!, j!])]))
        },
      },
    ],
    { formats: floats },
  ),
  network(
    'attention',
    [true, false].map((causal) => ({
      name: causal ? 'causal' : 'over all keys',
      operands: [{ shape: [2, 3, 4] }, { shape: [2, 5, 4] }, { shape: [2, 5, 6] }],
      apply: (q, k, v) => attention(q, k, v, { causal }),
      expected: (q, k, v) => attended(q!, k!, v!, causal),
    })),
    { formats: floats },
  ),
  network('conv1d', [convolved(usual(1), convolution.conv1d)]),
  network('conv2d', [convolved(usual(2), convolution.conv2d)]),
  network('conv3d', [convolved(usual(3), convolution.conv3d)]),
  network('convTranspose1d', [transposed(usual(1), convolution.convTranspose1d)]),
  network('convTranspose2d', [transposed(usual(2), convolution.convTranspose2d)]),
  network('convTranspose3d', [transposed(usual(3), convolution.convTranspose3d)]),
  network('maxPool1d', [pooled(threes(1), pooling.maxPool1d, largest)]),
  network('maxPool2d', [pooled(threes(2), pooling.maxPool2d, largest)]),
  network('maxPool3d', [pooled(threes(3), pooling.maxPool3d, largest)]),
  network('averagePool1d', [pooled(threes(1), pooling.averagePool1d, meanWithPadding)]),
  network('averagePool2d', [pooled(threes(2), pooling.averagePool2d, meanWithPadding)]),
  network('averagePool3d', [pooled(threes(3), pooling.averagePool3d, meanWithPadding)]),
  network('adaptiveMaxPool1d', [adaptive(fives(1), 3, pooling.adaptiveMaxPool1d, largest)]),
  network('adaptiveMaxPool2d', [adaptive(fives(2), 3, pooling.adaptiveMaxPool2d, largest)]),
  network('adaptiveMaxPool3d', [adaptive(fives(3), 3, pooling.adaptiveMaxPool3d, largest)]),
  network('adaptiveAveragePool1d', [adaptive(fives(1), 3, pooling.adaptiveAveragePool1d, mean)]),
  network('adaptiveAveragePool2d', [adaptive(fives(2), 3, pooling.adaptiveAveragePool2d, mean)]),
  network('adaptiveAveragePool3d', [adaptive(fives(3), 3, pooling.adaptiveAveragePool3d, mean)]),
  network('resize', [
    {
      name: 'nearest',
      operands: [{ shape: [2, 2, 3, 3] }],
      apply: (x) => resize(x, 5),
      expected: (x) =>
        fill([2, 2, 5, 5], ([n, c, i, j]) => at(x!, [n!, c!, Math.floor((i! * 3) / 5), Math.floor((j! * 3) / 5)])),
    },
    {
      name: 'linear',
      operands: [{ shape: [1, 2, 3, 3] }],
      apply: (x) => resize(x, 5, { mode: 'linear' }),
      expected: (x) => interpolated(x!, 5),
    },
  ]),
]
