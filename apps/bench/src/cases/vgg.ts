import type { CaseFamily } from './case.ts'
import { tokenInput, uniformInput } from './inputs.ts'

/**
 * The convolutions and poolings of VGG (Simonyan & Zisserman 2014, table 1), from images to the features before the classifier: forward with
 * constant filters, or a step of gradient descent on the cross-entropy of the features' means over the image.
 */
export interface VggCase {
  readonly kind: 'vgg'
  readonly name: string
  readonly batch: number
  readonly extent: number
  /** Filters of each convolution; after each block the extent is halved. */
  readonly blocks: readonly (readonly number[])[]
  readonly pass: 'forward' | 'step'
  /** Of the steps. */
  readonly learningRate: number
}

const block = (count: number, filters: number): number[] => new Array<number>(count).fill(filters)
const network = (deep: number) => [block(2, 64), block(2, 128), block(deep, 256), block(deep, 512), block(deep, 512)]
const vgg16 = network(3)
/** The network E, of 19 layers with the classifier's. */
const vggE = network(4)

/** Steps from the initial filters whose losses are the output of a case. */
export const checkedSteps = 3

export interface VggOperands {
  readonly image: Float32Array<ArrayBuffer>
  readonly imageShape: readonly [number, number, number, number]
  readonly filters: readonly {
    readonly values: Float32Array<ArrayBuffer>
    readonly shape: readonly [number, number, number, number]
    /** True where a pooling follows. */
    readonly endsBlock: boolean
  }[]
}

/** The operands of a case, the same for every implementation. Filters keep the size of activations: uniform of variance 2 / (9 C). */
export function vggOperands({ batch, extent, blocks }: VggCase): VggOperands {
  let channels = 3
  const filters = blocks.flatMap((block, i) =>
    block.map((count, j) => {
      const shape = [count, channels, 3, 3] as const
      const bound = Math.fround(Math.sqrt(6 / (9 * channels)))
      const values = uniformInput(count * channels * 9, 100 + 10 * i + j).map((value) => value * bound)
      channels = count
      return { values, shape, endsBlock: j === block.length - 1 }
    }),
  )
  const imageShape = [batch, 3, extent, extent] as const
  return { image: uniformInput(batch * 3 * extent * extent, 99), imageShape, filters }
}

/** The class of each image. */
export function vggLabels({ batch, blocks }: VggCase): Int32Array<ArrayBuffer> {
  return Int32Array.from(tokenInput(batch, 98, blocks.at(-1)!.at(-1)!))
}

/** Shape of the features. */
export function vggResult({ batch, extent, blocks }: VggCase): [number, number, number, number] {
  const last = extent / 2 ** blocks.length
  return [batch, blocks.at(-1)!.at(-1)!, last, last]
}

const known = new Map<string, Float64Array>()

/** The whole network in float64. */
function allExpected(benchmarkCase: VggCase): Float64Array {
  const earlier = known.get(benchmarkCase.name)
  if (earlier) return earlier
  const { image, filters } = vggOperands(benchmarkCase)
  let x: Float64Array = Float64Array.from(image)
  let { extent } = benchmarkCase
  for (const { values, shape, endsBlock } of filters) {
    x = convolved(x, values, shape, benchmarkCase.batch, extent)
    if (!endsBlock) continue
    x = pooled(x, extent)
    extent /= 2
  }
  known.set(benchmarkCase.name, x)
  return x
}

/** 3 × 3 convolution with zeros around, then the positive part. */
function convolved(
  x: Float64Array,
  filter: Float32Array,
  [count, channels]: VggOperands['filters'][number]['shape'],
  batch: number,
  extent: number,
): Float64Array {
  const result = new Float64Array(batch * count * extent * extent)
  for (let n = 0; n < batch; n++) {
    for (let k = 0; k < count; k++) {
      for (let c = 0; c < channels; c++) {
        for (let tap = 0; tap < 9; tap++) {
          const [dy, dx] = [Math.floor(tap / 3) - 1, (tap % 3) - 1]
          const weight = filter[(k * channels + c) * 9 + tap]!
          for (let y = Math.max(0, -dy); y < Math.min(extent, extent - dy); y++) {
            const to = ((n * count + k) * extent + y) * extent
            const from = ((n * channels + c) * extent + y + dy) * extent + dx
            for (let i = Math.max(0, -dx); i < Math.min(extent, extent - dx); i++) {
              result[to + i]! += weight * x[from + i]!
            }
          }
        }
      }
    }
  }
  return result.map((value) => Math.max(value, 0))
}

/** The largest of each 2 × 2. */
function pooled(x: Float64Array, extent: number): Float64Array {
  const half = extent / 2
  return new Float64Array(x.length / 4).map((_, index) => {
    const [column, row] = [index % half, Math.floor(index / half)]
    const at = 2 * row * extent + 2 * column
    return Math.max(x[at]!, x[at + 1]!, x[at + extent]!, x[at + extent + 1]!)
  })
}

const sampledPositions = 4096

export const vggFamily: CaseFamily<VggCase> = {
  kind: 'vgg',
  cases: [
    { kind: 'vgg', name: 'vgg-16/n1/forward', batch: 1, extent: 224, blocks: vgg16, pass: 'forward', learningRate: 0 },
    { kind: 'vgg', name: 'vgg-e/n1/forward', batch: 1, extent: 224, blocks: vggE, pass: 'forward', learningRate: 0 },
    { kind: 'vgg', name: 'vgg-16/n1/step', batch: 1, extent: 224, blocks: vgg16, pass: 'step', learningRate: 2e-5 },
  ],
  checks: [
    { kind: 'vgg', name: 'vgg/check', batch: 2, extent: 12, blocks: [[6, 5], [9]], pass: 'forward', learningRate: 0 },
    {
      kind: 'vgg',
      name: 'vgg/check-step',
      batch: 2,
      extent: 12,
      blocks: [[6, 5], [9]],
      pass: 'step',
      learningRate: 0.05,
    },
  ],
  group: ({ pass }) => pass,
  tolerance: 2e-5,
  work: (benchmarkCase) => {
    const { batch, blocks, extent, pass } = benchmarkCase
    let [flops, weights, size] = [0, 0, extent]
    for (const { shape, endsBlock } of vggOperands(benchmarkCase).filters) {
      const [count, channels] = shape
      weights += 9 * count * channels
      flops += 2 * batch * 9 * count * channels * size * size
      if (endsBlock) size /= 2
    }
    // Going backward takes two products for each, but the image needs no gradient; the update reads filters and gradients and writes filters.
    if (pass === 'step') {
      const first = 2 * batch * 9 * 3 * blocks[0]![0]! * extent * extent
      return { flops: 3 * flops - first, bytes: 4 * (4 * weights + batch * 3 * extent * extent) }
    }
    return { flops, bytes: 4 * (weights + batch * 3 * extent * extent + batch * blocks.at(-1)!.at(-1)! * size * size) }
  },
  checkedIndices(benchmarkCase) {
    if (benchmarkCase.pass === 'step') return undefined
    const { length } = allExpected(benchmarkCase)
    return length <= sampledPositions ? undefined : [...tokenInput(sampledPositions, 5, length)]
  },
  expected(benchmarkCase) {
    if (benchmarkCase.pass === 'step') return Float64Array.from(losses[benchmarkCase.name]!)
    const all = allExpected(benchmarkCase)
    const indices = vggFamily.checkedIndices(benchmarkCase)
    return indices ? Float64Array.from(indices, (index) => all[index]!) : all
  },
}

/** Losses of the first {@link checkedSteps} steps in float64, from `python3 python/child.py --losses CASE_JSON`. */
const losses: Readonly<Record<string, readonly number[]>> = {
  'vgg-16/n1/step': [8.194455768830288, 6.834660721466652, 5.425615958108791],
  'vgg/check-step': [2.2870185215210874, 1.9936693803382584, 1.7138760069937922],
}
