import type { ConvolutionGeometry, Shape } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import { tileScratchBytes } from '../matmul/tiles.ts'
import { type MatmulTuning, tileColumns } from '../matmul/tuning.ts'
import { type DescriptorWords, encodeDescriptor, filterLayout, type Tap } from './descriptor.ts'
import { tableBytes } from './patches.ts'

/** The shapes of a convolution, `[N, C, ...spatial] ∗ [K, C / groups, ...window] → [N, K, ...positions]`. */
export interface ConvolutionShapes {
  readonly input: Shape
  readonly filter: Shape
  readonly output: Shape
}

/** The most spatial axes that the kernels take. */
export const mostSpatialAxes = 3

type Three = readonly [z: number, y: number, x: number]

/** A convolution over exactly three spatial axes: those that are missing have extent 1. */
export interface Convolution {
  readonly batch: number
  readonly inputChannels: number
  readonly outputChannels: number
  readonly groups: number
  readonly extents: Three
  readonly window: Three
  readonly positions: Three
  readonly stride: Three
  readonly dilation: Three
  /** Zeros before each axis. */
  readonly low: Three
}

export function toThreeAxes({ input, filter, output }: ConvolutionShapes, geometry: ConvolutionGeometry): Convolution {
  const three = (values: readonly number[], missing: number): Three => {
    const [z = missing, y = missing, x = missing] = [
      ...new Array<number>(mostSpatialAxes - values.length).fill(missing),
      ...values,
    ]
    return [z, y, x]
  }
  return {
    batch: input[0]!,
    inputChannels: input[1]!,
    outputChannels: filter[0]!,
    groups: geometry.groups,
    extents: three(input.slice(2), 1),
    window: three(filter.slice(2), 1),
    positions: three(output.slice(2), 1),
    stride: three(geometry.stride, 1),
    dilation: three(geometry.dilation, 1),
    low: three(
      geometry.padding.map(([low]) => low),
      0,
    ),
  }
}

/** Sizes of a product and how its operands lie in memory: what a descriptor says, without the blocks. */
type Problem = Omit<
  DescriptorWords,
  | 'taps'
  | 'blockChannels'
  | 'blockColumns'
  | 'blockRows'
  | 'filterLayout'
  | 'splitRows'
  | 'unit'
  | 'units'
  | 'scratchTables'
  | 'scratchFilters'
  | 'scratchPatches'
  | 'scratchRows'
>

/** Descriptors of one call, one after the other. */
export interface ProductPlan {
  readonly words: Int32Array
  /** Where each product's descriptor begins, and where in the target its first result goes, in bytes. */
  readonly products: readonly { readonly descriptor: number; readonly target: number }[]
  readonly threadScratchBytes: number
}

/** The displacements of a filter's taps in the input. */
function tapsOf({ window, dilation, low }: Convolution): Tap[] {
  const [depth, height, width] = window
  return Array.from({ length: sizeOf(window) }, (_, i) => {
    const x = i % width
    const y = Math.floor(i / width) % height
    const z = Math.floor(i / width / height) % depth
    return {
      z: z * dilation[0] - low[0],
      y: y * dilation[1] - low[1],
      x: x * dilation[2] - low[2],
      filterOffset: 4 * i,
    }
  })
}

const inBytes = ([, height, width]: Three) => ({ plane: 4 * height * width, row: 4 * width })

/** A convolution as a product: rows are output channels, columns positions of the output. */
function forwardProblem(convolution: Convolution): Problem {
  const { batch, inputChannels, outputChannels, groups, extents, window, positions, stride } = convolution
  const [ownInputs, ownOutputs] = [inputChannels / groups, outputChannels / groups]
  const [input, output] = [sizeOf(extents), sizeOf(positions)]
  const source = inBytes(extents)
  const target = inBytes(positions)
  const filter = 4 * ownInputs * sizeOf(window)
  return {
    rows: ownOutputs,
    columns: batch * output,
    channels: ownInputs,
    groups,
    gridZ: positions[0],
    gridY: positions[1],
    gridX: positions[2],
    stepZ: stride[0],
    stepY: stride[1],
    stepX: stride[2],
    extentZ: extents[0],
    extentY: extents[1],
    extentX: extents[2],
    sourceImage: 4 * inputChannels * input,
    sourceGroup: 4 * ownInputs * input,
    sourceChannel: 4 * input,
    sourcePlane: source.plane,
    sourceRow: source.row,
    filterGroup: filter * ownOutputs,
    filterRow: filter,
    filterChannel: 4 * sizeOf(window),
    targetImage: 4 * outputChannels * output,
    targetGroup: 4 * ownOutputs * output,
    targetRow: 4 * output,
    targetZ: target.plane,
    targetY: target.row,
    targetX: 4,
  }
}

/** The product that computes a convolution. */
export function planForward(convolution: Convolution, tuning: MatmulTuning): ProductPlan {
  return joinPlans([planProduct(forwardProblem(convolution), tapsOf(convolution), true, tuning)])
}

/** The gradient of a convolution to its filters: rows are output channels, columns the taps of input channels. */
export function planFilterGradient(convolution: Convolution, tuning: MatmulTuning): ProductPlan {
  const problem = forwardProblem(convolution)
  const taps = tapsOf(convolution)
  const width = tileColumns(tuning)
  const blockChannels = blockOf(problem.channels, Math.floor(blockDepth / taps.length))
  const columns = roundUp(blockChannels * taps.length, width)
  const positions = sizeOf(convolution.positions)
  const blockPositions = roundUp(blockOf(positions, blockDepth), width)
  const splitRows = problem.channels * problem.groups < 8 && problem.rows > problem.channels ? 1 : 0
  const head = tileScratchBytes(tuning)
  const scratchTables = align(head.zeros + head.tile)
  const scratchFilters = align(scratchTables + tableBytes(blockPositions))
  const scratchPatches = align(scratchFilters + tableBytes(columns))
  const scratchRows = align(scratchPatches + 4 * columns * blockPositions)
  const words = {
    ...problem,
    taps: taps.length,
    blockChannels,
    blockColumns: blockPositions,
    blockRows: roundUp(blockOf(problem.rows, roundUp(mostRows, tuning.rows)), tuning.rows),
    filterLayout: filterLayout.inPlace,
    splitRows,
    unit: splitRows ? tuning.rows : 1,
    units: Math.ceil(splitRows ? problem.rows / tuning.rows : problem.channels),
    scratchTables,
    scratchFilters,
    scratchPatches,
    scratchRows,
  }
  const threadScratchBytes = align(scratchRows + 4 * columns * blockPositions)
  return joinPlans([{ words: encodeDescriptor(words, taps), threadScratchBytes }])
}

/**
 * The products that compute the gradient of a convolution to its input: rows are input channels, columns positions of the input. With
 * strides, positions of one remainder by the stride meet the same taps, so each remainder is a product of its own. The remainders
 * that no tap meets are left out: they stay zero.
 */
export function planBackwardInput(convolution: Convolution, tuning: MatmulTuning): ProductPlan {
  const { batch, inputChannels, outputChannels, groups, extents, window, positions, stride } = convolution
  const [ownInputs, ownOutputs] = [inputChannels / groups, outputChannels / groups]
  const [input, output] = [sizeOf(extents), sizeOf(positions)]
  const source = inBytes(positions)
  const target = inBytes(extents)
  const filter = 4 * ownInputs * sizeOf(window)
  const products = remaindersOf(convolution).map(({ first, grid, taps }) => {
    const problem: Problem = {
      rows: ownInputs,
      columns: batch * sizeOf(grid),
      channels: ownOutputs,
      groups,
      gridZ: grid[0],
      gridY: grid[1],
      gridX: grid[2],
      stepZ: 1,
      stepY: 1,
      stepX: 1,
      extentZ: positions[0],
      extentY: positions[1],
      extentX: positions[2],
      sourceImage: 4 * outputChannels * output,
      sourceGroup: 4 * ownOutputs * output,
      sourceChannel: 4 * output,
      sourcePlane: source.plane,
      sourceRow: source.row,
      filterGroup: filter * ownOutputs,
      filterRow: 4 * sizeOf(window),
      filterChannel: filter,
      targetImage: 4 * inputChannels * input,
      targetGroup: 4 * ownInputs * input,
      targetRow: 4 * input,
      targetZ: stride[0] * target.plane,
      targetY: stride[1] * target.row,
      targetX: stride[2] * 4,
    }
    const start = first[0] * target.plane + first[1] * target.row + first[2] * 4
    return { ...planProduct(problem, taps, false, tuning), start }
  })
  return joinPlans(products)
}

interface Remainder {
  /** The first position of the input, and how many there are, each a stride apart. */
  readonly first: Three
  readonly grid: Three
  readonly taps: readonly Tap[]
}

/** Positions of the input by their remainder by the stride, with the taps that meet them. */
function remaindersOf(convolution: Convolution): Remainder[] {
  const { extents, stride } = convolution
  const result: Remainder[] = []
  const all = tapsOf(convolution)
  for (let i = 0; i < sizeOf(stride); i++) {
    const first: Three = [Math.floor(i / stride[2] / stride[1]), Math.floor(i / stride[2]) % stride[1], i % stride[2]]
    const grid = first.map((start, axis) => Math.max(0, Math.ceil((extents[axis]! - start) / stride[axis]!)))
    const taps = all.flatMap(({ z, y, x, filterOffset }): Tap[] => {
      // Position p of the output meets the input at p · stride + displacement.
      const [dz, dy, dx] = [z, y, x].map((displacement, axis) => (first[axis]! - displacement) / stride[axis]!)
      return [dz, dy, dx].every(Number.isInteger) ? [{ z: dz!, y: dy!, x: dx!, filterOffset }] : []
    })
    if (taps.length > 0 && sizeOf(grid) > 0) result.push({ first, grid: grid as unknown as Three, taps })
  }
  return result
}

/** True when every element of the input meets some tap, so that the products of `planBackwardInput` write all of the result. */
export function writesWholeInput(convolution: Convolution): boolean {
  const covered = remaindersOf(convolution).reduce((total, { grid }) => total + sizeOf(grid), 0)
  return covered === sizeOf(convolution.extents)
}

/** Floats of a row of filters, or of a column of patches, that are packed at a time. */
const blockDepth = 256
/** Floats of all patches that are packed at a time: they stay in the second-level cache. */
const blockPatches = 128 * 1024
const mostColumns = 1024
const mostRows = 120

interface Product {
  readonly words: readonly number[]
  readonly threadScratchBytes: number
  /** Where the target begins, in bytes. */
  readonly start?: number
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple
const align = (bytes: number): number => roundUp(bytes, 64)

/** Splits `size` into equal blocks of at most `maximum`. */
const blockOf = (size: number, maximum: number): number => Math.ceil(size / Math.ceil(size / Math.max(1, maximum)))

function planProduct(problem: Problem, taps: readonly Tap[], contiguous: boolean, tuning: MatmulTuning): Product {
  const width = tileColumns(tuning)
  const { rows, columns, channels } = problem
  const blockChannels = blockOf(channels, Math.floor(blockDepth / taps.length))
  const depth = blockChannels * taps.length
  const fitting = Math.max(width, Math.floor(Math.min(mostColumns, blockPatches / depth) / width) * width)
  const blockColumns = roundUp(blockOf(columns, fitting), width)
  const blockRows = roundUp(blockOf(rows, roundUp(mostRows, tuning.rows)), tuning.rows)
  // Packing pays when tiles read the filters often.
  const layout = !contiguous ? filterLayout.picked : columns <= 128 ? filterLayout.inPlace : filterLayout.contiguous
  const splitRows = rows > columns ? 1 : 0
  const unit = splitRows ? tuning.rows : width
  const head = tileScratchBytes(tuning)
  const scratchTables = align(head.zeros + head.tile)
  const scratchFilters = align(scratchTables + tableBytes(blockColumns))
  const scratchPatches = align(scratchFilters + (layout === filterLayout.inPlace ? 0 : 4 * blockRows * depth))
  const scratchRows = align(scratchPatches + 4 * blockColumns * depth)
  const words = {
    ...problem,
    taps: taps.length,
    blockChannels,
    blockColumns,
    blockRows,
    filterLayout: layout,
    splitRows,
    unit,
    units: Math.ceil((splitRows ? rows : columns) / unit),
    scratchTables,
    scratchFilters,
    scratchPatches,
    scratchRows,
  }
  return { words: encodeDescriptor(words, taps), threadScratchBytes: scratchRows }
}

function joinPlans(parts: readonly Product[]): ProductPlan {
  const words: number[] = []
  const products = parts.map((part) => {
    const descriptor = 4 * words.length
    words.push(...part.words)
    return { descriptor, target: part.start ?? 0 }
  })
  const threadScratchBytes = parts.reduce((most, part) => Math.max(most, part.threadScratchBytes), 0)
  return { words: Int32Array.from(words), products, threadScratchBytes }
}
