import { isRowMajor, type Kernel, type OpAttributes, type OpCall, sizeOf } from '@tessera/core'
import { type Blas, plain, rowMajor, transposed } from './library.ts'
import { callMicroseconds, threadGigaflops } from './speed.ts'
import { fromColumns, toColumns, windowTable } from './windows.ts'

type ConvolutionOp = 'convolution' | 'convolutionBackwardInput' | 'convolutionBackwardFilter'

/** Which operand of an op is the input, the filter and the result of the convolution that it belongs to. */
const roles = {
  convolution: { input: 0, filter: 1, result: 2 },
  convolutionBackwardInput: { input: 2, filter: 1, result: 0 },
  convolutionBackwardFilter: { input: 0, filter: 2, result: 1 },
} as const

interface Sizes {
  readonly batch: number
  readonly groups: number
  /** Channels of the input, and filters, of one group. */
  readonly channels: number
  readonly filters: number
  readonly extents: readonly number[]
  readonly window: readonly number[]
  readonly positions: readonly number[]
  /** Elements of a channel of the input, rows of the matrix of windows, positions. */
  readonly plane: number
  readonly depth: number
  readonly places: number
}

function sizesOf<Op extends ConvolutionOp>({ op, attributes, inputs, outputs }: OpCall<Op>): Sizes {
  const role = roles[op as ConvolutionOp]
  const shapes = [...inputs, ...outputs].map(({ view }) => view.shape)
  const [input, filter, result] = [shapes[role.input]!, shapes[role.filter]!, shapes[role.result]!]
  const { groups } = attributes as OpAttributes['convolution']
  const channels = filter[1]!
  return {
    batch: input[0]!,
    groups,
    channels,
    filters: filter[0]! / groups,
    extents: input.slice(2),
    window: filter.slice(2),
    positions: result.slice(2),
    plane: sizeOf(input.slice(2)),
    depth: channels * sizeOf(filter.slice(2)),
    places: sizeOf(result.slice(2)),
  }
}

/** Convolution and its two gradients: windows are written out as a matrix, and `cblas_sgemm` does the rest, group by group. */
export function convolutionKernels(blas: Blas, threads: number): Kernel[] {
  const kernel = <Op extends ConvolutionOp>(op: Op, run: typeof forward): Kernel<Op, 'blas'> => ({
    name: `blas/${op}`,
    op,
    backend: 'blas',
    tolerance: 3e-6,
    cost: (call) => {
      const operands = [...call.inputs, ...call.outputs]
      if (operands.length !== 3 || !operands.every(({ dtype, view }) => dtype === 'f32' && isRowMajor(view)))
        return undefined
      const { batch, groups, filters, depth, places } = sizesOf(call)
      const products = (2 * filters * depth * places) / (1000 * threadGigaflops * threads)
      return batch * groups * (callMicroseconds + products + (depth * places) / 1000)
    },
    build: (call) => {
      const sizes = sizesOf(call)
      const { extents, window, positions, depth, places } = sizes
      const table = windowTable(extents, window, positions, call.attributes as OpAttributes['convolution'])
      const columns = new Float32Array(depth * places)
      return ([first, second], [written]) => {
        const operands = [first, second, written].map((array, i) =>
          (array as Float32Array).subarray([...call.inputs, ...call.outputs][i]!.view.offset),
        )
        const role = roles[op as ConvolutionOp]
        operands[2]!.fill(0, 0, sizeOf(call.outputs[0]!.view.shape))
        const [input, filter, result] = [operands[role.input]!, operands[role.filter]!, operands[role.result]!]
        for (let i = 0; i < sizes.batch * sizes.groups; i++) {
          const group = i % sizes.groups
          run(blas, sizes, table, columns, {
            input: input.subarray(i * sizes.channels * sizes.plane),
            filter: filter.subarray(group * sizes.filters * depth),
            result: result.subarray(i * sizes.filters * places),
          })
        }
      }
    },
  })
  return [
    kernel('convolution', forward),
    kernel('convolutionBackwardInput', backwardInput),
    kernel('convolutionBackwardFilter', backwardFilter),
  ] as Kernel[]
}

/** The parts of the operands that belong to one group of one image. */
type Parts = Readonly<Record<'input' | 'filter' | 'result', Float32Array>>

/** result [filters, places] = filter [filters, depth] · columns [depth, places] */
function forward(blas: Blas, sizes: Sizes, table: Int32Array, columns: Float32Array, { input, filter, result }: Parts) {
  const { filters, places, depth, channels, plane } = sizes
  toColumns(input, table, channels, plane, columns)
  blas.sgemm(rowMajor, plain, plain, filters, places, depth, 1, filter, depth, columns, places, 0, result, places)
}

/** columns [depth, places] = filterᵀ · result, added up where the windows lie */
function backwardInput(
  blas: Blas,
  sizes: Sizes,
  table: Int32Array,
  columns: Float32Array,
  { input, filter, result }: Parts,
) {
  const { filters, places, depth, channels, plane } = sizes
  blas.sgemm(rowMajor, transposed, plain, depth, places, filters, 1, filter, depth, result, places, 0, columns, places)
  fromColumns(columns, table, channels, plane, input)
}

/** filter [filters, depth] += result [filters, places] · columnsᵀ */
function backwardFilter(
  blas: Blas,
  sizes: Sizes,
  table: Int32Array,
  columns: Float32Array,
  { input, filter, result }: Parts,
) {
  const { filters, places, depth, channels, plane } = sizes
  toColumns(input, table, channels, plane, columns)
  blas.sgemm(rowMajor, plain, transposed, filters, depth, places, 1, result, places, columns, places, 1, filter, depth)
}
