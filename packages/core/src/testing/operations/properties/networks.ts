import { attention } from '../../../tensor/attention.ts'
import * as convolution from '../../../tensor/convolution.ts'
import { crossEntropyLosses } from '../../../tensor/losses.ts'
import { layerNorm } from '../../../tensor/normalization.ts'
import * as pooling from '../../../tensor/pooling.ts'
import { resize } from '../../../tensor/resize.ts'
import type { Choices } from '../choices.ts'
import { at, fill, mapRows } from '../host.ts'
import type { OpTest } from '../op-test.ts'
import { anyExtent, anyShape } from '../shapes.ts'
import {
  adaptive,
  attended,
  type Convolution,
  convolutionOf,
  convolved,
  interpolated,
  largest,
  mean,
  meanWithPadding,
  pooled,
  softmax,
  transposed,
  type Windows,
} from '../tables/networks.ts'

/** Random shapes and geometries for the ops of neural networks. */

type Property = NonNullable<OpTest['property']>

const small = (choices: Choices): number => choices.pick([1, 2, 3])

/** A convolution whose filter fits at least once. */
function anyConvolution(choices: Choices, rank: number): Convolution {
  const groups = choices.pick([1, 2, 3])
  const [batch, inner, outer] = [small(choices), small(choices), small(choices)]
  const [stride, dilation] = [small(choices), small(choices)]
  const padding = choices.integer(0, 2)
  const most = [19, 9, 4][rank - 1]!
  const axes = Array.from({ length: rank }, () => {
    const window = choices.integer(1, rank === 3 ? 2 : 4)
    const least = Math.max(1, (window - 1) * dilation + 1 - 2 * padding)
    return [least + choices.integer(0, most), window] as const
  })
  return convolutionOf(
    [batch, groups * inner, ...axes.map(([extent]) => extent)],
    [groups * outer, inner, ...axes.map(([, window]) => window)],
    { stride, padding, dilation, groups },
  )
}

function anyWindows(choices: Choices, rank: number): Windows {
  const window = choices.integer(1, 4)
  const padding = choices.integer(0, Math.floor(window / 2))
  const most = [33, 9, 4][rank - 1]!
  const extents = Array.from({ length: rank }, () => Math.max(1, window - 2 * padding) + choices.integer(0, most))
  return { shape: [small(choices), small(choices), ...extents], window, stride: small(choices), padding }
}

function anyAdaptive(choices: Choices, rank: number): [shape: number[], size: number] {
  const extents = Array.from({ length: rank }, () => choices.integer(1, [33, 9, 5][rank - 1]!))
  return [[small(choices), small(choices), ...extents], choices.integer(1, 5)]
}

const convolutions = [convolution.conv1d, convolution.conv2d, convolution.conv3d]
const transposes = [convolution.convTranspose1d, convolution.convTranspose2d, convolution.convTranspose3d]
const maxPools = [pooling.maxPool1d, pooling.maxPool2d, pooling.maxPool3d]
const averagePools = [pooling.averagePool1d, pooling.averagePool2d, pooling.averagePool3d]
const adaptiveMaxPools = [pooling.adaptiveMaxPool1d, pooling.adaptiveMaxPool2d, pooling.adaptiveMaxPool3d]
const adaptiveAveragePools = [
  pooling.adaptiveAveragePool1d,
  pooling.adaptiveAveragePool2d,
  pooling.adaptiveAveragePool3d,
]

const spatialProperties = Object.fromEntries(
  [1, 2, 3].flatMap((rank): [string, Property][] => [
    [`conv${rank}d`, (choices) => convolved(anyConvolution(choices, rank), convolutions[rank - 1]!)],
    [`convTranspose${rank}d`, (choices) => transposed(anyConvolution(choices, rank), transposes[rank - 1]!)],
    [`maxPool${rank}d`, (choices) => pooled(anyWindows(choices, rank), maxPools[rank - 1]!, largest)],
    [`averagePool${rank}d`, (choices) => pooled(anyWindows(choices, rank), averagePools[rank - 1]!, meanWithPadding)],
    [
      `adaptiveMaxPool${rank}d`,
      (choices) => adaptive(...anyAdaptive(choices, rank), adaptiveMaxPools[rank - 1]!, largest),
    ],
    [
      `adaptiveAveragePool${rank}d`,
      (choices) => adaptive(...anyAdaptive(choices, rank), adaptiveAveragePools[rank - 1]!, mean),
    ],
  ]),
)

export const networkProperties: Readonly<Record<string, Property>> = {
  ...spatialProperties,
  layerNorm(choices) {
    // Rows of one element have no variance, and so no meaningful gradient.
    const shape = [...anyShape(choices, { most: 2, elements: 30 }), 1 + anyExtent(choices, 33)]
    const last = shape.at(-1)!
    return {
      name: `[${shape}]`,
      operands: [{ shape }, { shape: [last] }, { shape: [last] }],
      apply: (x, gain, bias) => layerNorm(x, gain, bias),
      expected: (x, gain, bias) =>
        mapRows(x!, shape.length - 1, (row) => {
          const center = mean(row)
          const deviation = Math.sqrt(mean(row.map((value) => (value - center) ** 2)) + 1e-5)
          return row.map((value, i) => ((value - center) / deviation) * gain!.data[i]! + bias!.data[i]!)
        }),
    }
  },
  crossEntropyLosses(choices) {
    const outer = anyShape(choices, { most: 2, elements: 20 })
    const classes = anyExtent(choices, 65)
    return {
      name: `[${outer}] of ${classes} classes`,
      operands: [
        { shape: [...outer, classes], range: [-4, 4] },
        { shape: outer, range: [0, classes - 1], dtype: 'i32' },
      ],
      apply: (x, targets) => crossEntropyLosses(x, targets),
      expected: (x, targets) => {
        const logs = mapRows(x!, outer.length, (row) => softmax(row).map((p) => -Math.log(p)))
        return fill(outer, (index) => at(logs, [...index, at(targets!, index)]))
      },
    }
  },
  attention(choices) {
    const outer = anyShape(choices, { most: 2, elements: 3, filled: true })
    const [queries, width, depth] = [anyExtent(choices, 17), anyExtent(choices, 9), anyExtent(choices, 9)]
    const causal = choices.integer(0, 1) === 1
    // A causal query sees at least the first key.
    const keys = (causal ? queries : 1) + choices.integer(0, 9)
    return {
      name: `[${outer}], ${queries} queries, ${keys} keys, width ${width}${causal ? ', causal' : ''}`,
      operands: [
        { shape: [...outer, queries, width] },
        { shape: [...outer, keys, width] },
        { shape: [...outer, keys, depth] },
      ],
      apply: (q, k, v) => attention(q, k, v, { causal }),
      expected: (q, k, v) => attended(q!, k!, v!, causal),
    }
  },
  resize(choices) {
    const shape = [small(choices), small(choices), choices.integer(1, 7), choices.integer(1, 7)]
    const size = choices.integer(1, 9)
    const linear = choices.integer(0, 1) === 1
    return {
      name: `[${shape}] to ${size}, ${linear ? 'linear' : 'nearest'}`,
      operands: [{ shape }],
      apply: (x) => resize(x, size, { mode: linear ? 'linear' : 'nearest' }),
      expected: (x) =>
        linear
          ? interpolated(x!, size)
          : fill([shape[0]!, shape[1]!, size, size], ([n, c, i, j]) =>
              at(x!, [n!, c!, Math.floor((i! * shape[2]!) / size), Math.floor((j! * shape[3]!) / size)]),
            ),
    }
  },
}
