import type { CaseFamily } from './case.ts'
import { tokenInput, uniformInput } from './inputs.ts'

/** A convolution of square images with square filters, padded to the same extent, or one of its gradients. */
export interface Conv2dCase {
  readonly kind: 'conv2d'
  readonly name: string
  readonly batch: number
  readonly channels: number
  readonly filters: number
  /** Height and width of the images, and of the filters. */
  readonly extent: number
  readonly window: number
  readonly stride: number
  /** Forward, with constant filters; or the gradient to the input or to the filters, of an error that is given. */
  readonly pass: 'forward' | 'backward-input' | 'backward-filter'
}

const passes = ['forward', 'backward-input', 'backward-filter'] as const

/** Simonyan & Zisserman 2014, table 1, E: input channels, filters, extent. */
const vggLayers = {
  'vgg-1.1': [3, 64, 224],
  'vgg-1.2': [64, 64, 224],
  'vgg-2.1': [64, 128, 112],
  'vgg-2.2': [128, 128, 112],
  'vgg-3.1': [128, 256, 56],
  'vgg-3.2': [256, 256, 56],
  'vgg-4.1': [256, 512, 28],
  'vgg-4.2': [512, 512, 28],
  'vgg-5': [512, 512, 14],
} as const

/** He et al. 2015, table 1: input channels, filters, extent, window, stride. */
const resnetLayers = {
  'resnet-56': [64, 64, 56, 3, 1],
  'resnet-28': [128, 128, 28, 3, 1],
  'resnet-14': [256, 256, 14, 3, 1],
  'resnet-7': [512, 512, 7, 3, 1],
  'resnet-56/1x1': [256, 64, 56, 1, 1],
  'resnet-28/stride-2': [128, 128, 56, 3, 2],
} as const

function caseOf(label: string, batch: number, layer: readonly number[], pass: Conv2dCase['pass']): Conv2dCase {
  const [channels, filters, extent, window = 3, stride = 1] = layer as [number, number, number, number?, number?]
  return {
    kind: 'conv2d',
    name: `conv2d/${label}/n${batch}/${pass}`,
    batch,
    channels,
    filters,
    extent,
    window,
    stride,
    pass,
  }
}

const allPasses = (layers: Readonly<Record<string, readonly number[]>>, batch: number): Conv2dCase[] =>
  Object.entries(layers).flatMap(([label, layer]) => passes.map((pass) => caseOf(label, batch, layer, pass)))

export const outputExtent = ({ extent, stride }: Conv2dCase): number => Math.ceil(extent / stride)

/** Zeros before the first element: what makes ⌈extent / stride⌉ positions, the odd one of them at the end. */
export function paddingOf(benchmarkCase: Conv2dCase): readonly [low: number, high: number] {
  const { extent, window, stride } = benchmarkCase
  const total = Math.max(0, (outputExtent(benchmarkCase) - 1) * stride + window - extent)
  return [Math.floor(total / 2), Math.ceil(total / 2)]
}

export interface Conv2dOperands {
  readonly shapes: Readonly<Record<'input' | 'filter' | 'error', readonly [number, number, number, number]>>
  readonly input: Float32Array<ArrayBuffer>
  readonly filter: Float32Array<ArrayBuffer>
  /** The gradient of the result. */
  readonly error: Float32Array<ArrayBuffer>
}

const seeds = { input: 21, filter: 22, error: 23, positions: 24 } as const

/** The operands of a case, the same for every implementation. */
export function conv2dOperands(benchmarkCase: Conv2dCase): Conv2dOperands {
  const { batch, channels, filters, extent, window } = benchmarkCase
  const positions = outputExtent(benchmarkCase)
  const shapes = {
    input: [batch, channels, extent, extent],
    filter: [filters, channels, window, window],
    error: [batch, filters, positions, positions],
  } as const
  const draw = (name: keyof typeof shapes) =>
    uniformInput(
      shapes[name].reduce((product, length) => product * length, 1),
      seeds[name],
    )
  return { shapes, input: draw('input'), filter: draw('filter'), error: draw('error') }
}

function resultSize({ shapes }: Conv2dOperands, pass: Conv2dCase['pass']): number {
  const shape = { forward: shapes.error, 'backward-input': shapes.input, 'backward-filter': shapes.filter }[pass]
  return shape.reduce((product, length) => product * length, 1)
}

const sampledPositions = 128
const fullyCheckedSize = 4096

function checkedIndices(benchmarkCase: Conv2dCase): readonly number[] | undefined {
  const size = resultSize(conv2dOperands(benchmarkCase), benchmarkCase.pass)
  return size <= fullyCheckedSize ? undefined : [0, size - 1, ...tokenInput(sampledPositions, seeds.positions, size)]
}

function expected(benchmarkCase: Conv2dCase): Float64Array {
  const operands = conv2dOperands(benchmarkCase)
  const size = resultSize(operands, benchmarkCase.pass)
  const indices = checkedIndices(benchmarkCase) ?? Array.from({ length: size }, (_, index) => index)
  return Float64Array.from(indices, (index) => resultAt(benchmarkCase, operands, index))
}

/** One element of the result, summed in float64. */
function resultAt(benchmarkCase: Conv2dCase, { input, filter, error }: Conv2dOperands, index: number): number {
  const { batch, channels, filters, extent, window, stride, pass } = benchmarkCase
  const positions = outputExtent(benchmarkCase)
  const [low] = paddingOf(benchmarkCase)
  const at = (i: number, j: number, y: number, x: number, planes: number, length: number) =>
    ((i * planes + j) * length + y) * length + x
  let sum = 0
  if (pass === 'forward') {
    const [x, y] = [index % positions, Math.floor(index / positions) % positions]
    const k = Math.floor(index / positions ** 2) % filters
    const n = Math.floor(index / positions ** 2 / filters)
    forTaps((row, column) => {
      const [top, left] = [y * stride + row - low, x * stride + column - low]
      if (!inside(top, extent) || !inside(left, extent)) return
      for (let c = 0; c < channels; c++) {
        sum += input[at(n, c, top, left, channels, extent)]! * filter[at(k, c, row, column, channels, window)]!
      }
    })
  } else if (pass === 'backward-input') {
    const [x, y] = [index % extent, Math.floor(index / extent) % extent]
    const c = Math.floor(index / extent ** 2) % channels
    const n = Math.floor(index / extent ** 2 / channels)
    forTaps((row, column) => {
      const [top, left] = [(y + low - row) / stride, (x + low - column) / stride]
      if (!inside(top, positions) || !inside(left, positions)) return
      for (let k = 0; k < filters; k++) {
        sum += error[at(n, k, top, left, filters, positions)]! * filter[at(k, c, row, column, channels, window)]!
      }
    })
  } else {
    const [column, row] = [index % window, Math.floor(index / window) % window]
    const c = Math.floor(index / window ** 2) % channels
    const k = Math.floor(index / window ** 2 / channels)
    for (let n = 0; n < batch; n++) {
      for (let y = 0; y < positions; y++) {
        for (let x = 0; x < positions; x++) {
          const [top, left] = [y * stride + row - low, x * stride + column - low]
          if (!inside(top, extent) || !inside(left, extent)) continue
          sum += input[at(n, c, top, left, channels, extent)]! * error[at(n, k, y, x, filters, positions)]!
        }
      }
    }
  }
  return sum

  function forTaps(visit: (row: number, column: number) => void): void {
    for (let row = 0; row < window; row++) for (let column = 0; column < window; column++) visit(row, column)
  }
}

const inside = (position: number, extent: number): boolean =>
  Number.isInteger(position) && position >= 0 && position < extent

export const conv2dFamily: CaseFamily<Conv2dCase> = {
  kind: 'conv2d',
  cases: [
    ...allPasses(vggLayers, 1),
    ...allPasses({ 'vgg-3.2': vggLayers['vgg-3.2'], 'vgg-4.2': vggLayers['vgg-4.2'], 'vgg-5': vggLayers['vgg-5'] }, 16),
    caseOf('vgg-4.2', 64, vggLayers['vgg-4.2'], 'forward'),
    caseOf('vgg-5', 64, vggLayers['vgg-5'], 'forward'),
    ...allPasses(resnetLayers, 1),
  ],
  checks: passes.flatMap((pass) => [
    // Odd extents, more channels than a vector has lanes, and a stride.
    caseOf('check', 2, [9, 11, 13], pass),
    caseOf('check/stride-2', 2, [5, 7, 11, 3, 2], pass),
  ]),
  group: ({ pass }) => pass,
  // Winograd's F(4×4, 3×3) is not as exact as a sum of products.
  tolerance: 2e-5,
  work: (benchmarkCase) => {
    const { batch, channels, filters, extent, window } = benchmarkCase
    const positions = outputExtent(benchmarkCase) ** 2
    return {
      // Of the direct convolution, however few products an algorithm needs.
      flops: 2 * batch * channels * filters * window ** 2 * positions,
      bytes: 4 * (batch * channels * extent ** 2 + filters * channels * window ** 2 + batch * filters * positions),
    }
  },
  checkedIndices,
  expected,
}
