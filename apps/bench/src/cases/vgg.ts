import type { CaseFamily } from './case.ts'
import { tokenInput, uniformInput } from './inputs.ts'

/** The convolutions and poolings of VGG-16 (Simonyan & Zisserman 2014, table 1, D), forward: images to the features before the classifier. */
export interface VggCase {
  readonly kind: 'vgg'
  readonly name: string
  readonly batch: number
  readonly extent: number
  /** Filters of each convolution; after each block the extent is halved. */
  readonly blocks: readonly (readonly number[])[]
}

const vgg16 = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
]

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

/** Shape of the result. */
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
  cases: [{ kind: 'vgg', name: 'vgg-16/n1/forward', batch: 1, extent: 224, blocks: vgg16 }],
  checks: [{ kind: 'vgg', name: 'vgg/check', batch: 2, extent: 12, blocks: [[6, 5], [9]] }],
  tolerance: 2e-5,
  work: (benchmarkCase) => {
    const { batch, blocks, extent } = benchmarkCase
    let [flops, weights, size] = [0, 0, extent]
    for (const { shape, endsBlock } of vggOperands(benchmarkCase).filters) {
      const [count, channels] = shape
      weights += 9 * count * channels
      flops += 2 * batch * 9 * count * channels * size * size
      if (endsBlock) size /= 2
    }
    return { flops, bytes: 4 * (weights + batch * 3 * extent * extent + batch * blocks.at(-1)!.at(-1)! * size * size) }
  },
  checkedIndices(benchmarkCase) {
    const { length } = allExpected(benchmarkCase)
    return length <= sampledPositions ? undefined : [...tokenInput(sampledPositions, 5, length)]
  },
  expected(benchmarkCase) {
    const all = allExpected(benchmarkCase)
    const indices = vggFamily.checkedIndices(benchmarkCase)
    return indices ? Float64Array.from(indices, (index) => all[index]!) : all
  },
}
