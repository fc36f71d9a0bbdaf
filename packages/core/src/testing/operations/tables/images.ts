import type { DType } from '../../../graph/format.ts'
import { type Shape, sizeOf } from '../../../graph/shape.ts'
import * as patches from '../../../tensor/patches.ts'
import * as sampling from '../../../tensor/sampling.ts'
import type { Choices } from '../choices.ts'
import { at, fill, type HostTensor, indicesOf } from '../host.ts'
import { everyFormat, type OpCase, type OpTest } from '../op-test.ts'
import { anyShape } from '../shapes.ts'

/** Images as patches, at other places, and at another resolution. */

const exactFloats: readonly DType[] = ['f32', 'f64']
const exact = { relative: 0, absolute: 0 }

function image(op: string, cases: readonly OpCase[], settings: Partial<OpTest>): OpTest {
  const spacings = { relative: 64, absolute: 64 }
  return { op, topic: 'images', cases, formats: exactFloats, gradient: true, spacings, ...settings }
}

interface Patches {
  readonly shape: readonly [number, number, number, number]
  readonly window: readonly [number, number]
  readonly stride: number
  readonly padding: number
  readonly dilation: number
}

/** How many windows fit along a spatial axis. */
const positionsOf = ({ shape, window, stride, padding, dilation }: Patches, axis: 0 | 1): number =>
  Math.floor((shape[axis + 2]! + 2 * padding - (window[axis] - 1) * dilation - 1) / stride) + 1

const columnsOf = (p: Patches): Shape => [
  p.shape[0],
  p.shape[1] * sizeOf(p.window),
  positionsOf(p, 0) * positionsOf(p, 1),
]

/** The pixel of the image that an element of the columns shows; `undefined` in the padding. */
function pixelOf(p: Patches, [n, row, position]: readonly number[]): readonly number[] | undefined {
  const { shape, window, stride, padding, dilation } = p
  const across = positionsOf(p, 1)
  const [tap, channel] = [row! % sizeOf(window), Math.floor(row! / sizeOf(window))]
  const y = Math.floor(position! / across) * stride + Math.floor(tap / window[1]) * dilation - padding
  const x = (position! % across) * stride + (tap % window[1]) * dilation - padding
  return y < 0 || y >= shape[2] || x < 0 || x >= shape[3] ? undefined : [n!, channel, y, x]
}

const nameOf = ({ shape, window, stride, padding, dilation }: Patches) =>
  `[${shape}], windows of [${window}], stride ${stride}, padding ${padding}, dilation ${dilation}`

function unfolded(p: Patches): OpCase {
  return {
    name: nameOf(p),
    operands: [{ shape: p.shape }],
    apply: (x) => patches.unfold(x, p.window, p),
    expected: (x) =>
      fill(columnsOf(p), (index) => {
        const pixel = pixelOf(p, index)
        return pixel ? at(x!, pixel) : 0
      }),
  }
}

function folded(p: Patches): OpCase {
  return {
    name: nameOf(p),
    operands: [{ shape: columnsOf(p) }],
    apply: (y) => patches.fold(y, p.shape.slice(2), p.window, p),
    expected: (y) => {
      const result = fill(p.shape, () => 0)
      for (const index of indicesOf(y!.shape)) {
        const pixel = pixelOf(p, index)
        if (pixel) result.data[pixel.reduce((offset, i, axis) => offset * p.shape[axis]! + i, 0)]! += at(y!, index)
      }
      return result
    },
  }
}

const usual: Patches = { shape: [2, 2, 5, 4], window: [3, 2], stride: 2, padding: 1, dilation: 1 }
const dilated: Patches = { shape: [1, 3, 6, 7], window: [2, 3], stride: 1, padding: 0, dilation: 2 }

function anyPatches(choices: Choices): Patches {
  const [stride, dilation, padding] = [choices.integer(1, 3), choices.integer(1, 2), choices.integer(0, 2)]
  const window = [choices.integer(1, 3), choices.integer(1, 3)] as const
  const [height, width] = window.map(
    (extent) => Math.max(1, (extent - 1) * dilation + 1 - 2 * padding) + choices.integer(0, 6),
  ) as [number, number]
  return { shape: [choices.integer(1, 2), choices.integer(1, 3), height, width], window, stride, padding, dilation }
}

type Extents = readonly [channels: number, height: number, width: number]

function shuffled(outer: Shape, [c, h, w]: Extents, factor: number): OpCase {
  return {
    name: `[${outer}], ${c} channels of ${h} × ${w} by ${factor}`,
    operands: [{ shape: [...outer, c * factor ** 2, h, w], specials: true }],
    apply: (x) => patches.pixelShuffle(x, factor),
    expected: (x) =>
      fill([...outer, c, h * factor, w * factor], (index) => {
        const [k, y, z] = index.slice(-3) as [number, number, number]
        const channel = k * factor ** 2 + (y % factor) * factor + (z % factor)
        return at(x!, [...index.slice(0, -3), channel, Math.floor(y / factor), Math.floor(z / factor)])
      }),
  }
}

function unshuffled(outer: Shape, [c, h, w]: Extents, factor: number): OpCase {
  return {
    name: `[${outer}], ${c} channels of ${h} × ${w} by ${factor}`,
    operands: [{ shape: [...outer, c, h * factor, w * factor], specials: true }],
    apply: (x) => patches.pixelUnshuffle(x, factor),
    expected: (x) =>
      fill([...outer, c * factor ** 2, h, w], (index) => {
        const [channel, y, z] = index.slice(-3) as [number, number, number]
        const [k, rest] = [Math.floor(channel / factor ** 2), channel % factor ** 2]
        return at(x!, [...index.slice(0, -3), k, y * factor + Math.floor(rest / factor), z * factor + (rest % factor)])
      }),
  }
}

const shuffling =
  (make: typeof shuffled): NonNullable<OpTest['property']> =>
  (choices) => {
    const extents = [choices.integer(1, 3), choices.integer(0, 5), choices.integer(1, 5)] as const
    return make(anyShape(choices, { most: 2, elements: 4 }), extents, choices.integer(1, 3))
  }

type Options = Required<sampling.GridSampleOptions>

/** The value of an image at a position in pixels. */
function read(x: HostTensor, [n, c, y, z]: readonly [number, number, number, number], { mode, padding }: Options) {
  const [height, width] = x.shape.slice(2) as [number, number]
  const pixel = (row: number, column: number): number => {
    const [i, j] = [Math.min(Math.max(row, 0), height - 1), Math.min(Math.max(column, 0), width - 1)]
    return padding === 'zeros' && (i !== row || j !== column) ? 0 : at(x, [n, c, i, j])
  }
  const held = (value: number, extent: number) =>
    padding === 'edge' ? Math.min(Math.max(value, 0), extent - 1) : value
  const [row, column] = [held(y, height), held(z, width)]
  if (mode === 'nearest') return pixel(Math.round(row), Math.round(column))
  const [top, left] = [Math.floor(row), Math.floor(column)]
  const line = (i: number) => pixel(i, left) + (pixel(i, left + 1) - pixel(i, left)) * (column - left)
  return line(top) + (line(top + 1) - line(top)) * (row - top)
}

function sampled(shape: Shape, [rows, columns]: readonly [number, number], options: Options): OpCase {
  const place = (value: number, extent: number) =>
    options.alignCorners ? ((value + 1) * (extent - 1)) / 2 : ((value + 1) * extent - 1) / 2
  return {
    name: `[${shape}] at ${rows} × ${columns}, ${Object.values(options)}`,
    operands: [{ shape }, { shape: [shape[0]!, rows, columns, 2], range: [-1.3, 1.3] }],
    apply: (x, grid) => sampling.gridSample(x, grid, options),
    expected: (x, grid) =>
      fill([shape[0]!, shape[1]!, rows, columns], ([n, c, i, j]) => {
        const [z, y] = [0, 1].map((k) => place(at(grid!, [n!, i!, j!, k]), shape[3 - k]!)) as [number, number]
        return read(x!, [n!, c!, y, z], options)
      }),
  }
}

const linear: Options = { mode: 'linear', padding: 'zeros', alignCorners: false }
const nearest: OpCase = {
  ...sampled([1, 2, 4, 5], [4, 4], { ...linear, mode: 'nearest' }),
  // Steps between pixels.
  differentiable: false,
}

function mapped(batch: number, [rows, columns]: readonly [number, number], alignCorners: boolean): OpCase {
  const place = (i: number, extent: number) => {
    if (!alignCorners) return (2 * i + 1) / extent - 1
    return extent === 1 ? 0 : (2 * i) / (extent - 1) - 1
  }
  return {
    name: `${batch} of ${rows} × ${columns}${alignCorners ? ', corners aligned' : ''}`,
    operands: [{ shape: [batch, 2, 3] }],
    apply: (map) => sampling.affineGrid(map, [rows, columns], { alignCorners }),
    expected: (map) =>
      fill([batch, rows, columns, 2], ([n, i, j, k]) => {
        const point = [place(j!, columns), place(i!, rows), 1]
        return point.reduce((sum, value, l) => sum + at(map!, [n!, k!, l]) * value, 0)
      }),
  }
}

export const imageTests: readonly OpTest[] = [
  image('unfold', [unfolded(usual), unfolded(dilated)], { property: (choices) => unfolded(anyPatches(choices)) }),
  image('fold', [folded(usual), folded(dilated)], { property: (choices) => folded(anyPatches(choices)) }),
  image('pixelShuffle', [shuffled([2], [2, 3, 2], 2), shuffled([], [1, 2, 2], 3)], {
    formats: everyFormat,
    spacings: exact,
    property: shuffling(shuffled),
  }),
  image('pixelUnshuffle', [unshuffled([2], [2, 3, 2], 2), unshuffled([], [1, 2, 2], 3)], {
    formats: everyFormat,
    spacings: exact,
    property: shuffling(unshuffled),
  }),
  image(
    'gridSample',
    [
      sampled([2, 3, 4, 5], [3, 2], linear),
      sampled([1, 2, 4, 5], [4, 4], { ...linear, padding: 'edge' }),
      sampled([1, 2, 4, 5], [4, 4], { ...linear, alignCorners: true }),
      nearest,
    ],
    {
      spacings: { relative: 256, absolute: 256 },
      property: (choices) => {
        const shape = [choices.integer(1, 2), choices.integer(1, 3), choices.integer(1, 6), choices.integer(1, 6)]
        const padding = choices.pick(['zeros', 'edge'] as const)
        const alignCorners = choices.integer(0, 1) === 1
        const points = [choices.integer(1, 4), choices.integer(1, 4)] as const
        return sampled(shape, points, { mode: 'linear', padding, alignCorners })
      },
    },
  ),
  image('affineGrid', [mapped(2, [3, 4], false), mapped(1, [1, 5], true)], {
    property: (choices) =>
      mapped(choices.integer(1, 3), [choices.integer(1, 5), choices.integer(1, 5)], choices.integer(0, 1) === 1),
  }),
]
