import { sizeOf } from '@tessera/core'
import type { Blocks } from '../../fused/plan-block.ts'
import { tileScratchBytes } from '../matmul/tiles.ts'
import { type MatmulTuning, tileColumns } from '../matmul/tuning.ts'
import { encodeDescriptor, filterLayout } from './descriptor.ts'
import { tableBytes } from './patches.ts'
import {
  backwardInputProducts,
  type Convolution,
  forwardProblem,
  forwardProducts,
  type Problem,
  type Product,
  tapsOf,
} from './problems.ts'

/** Descriptors of one call, one after the other. */
export interface ProductPlan {
  readonly words: Int32Array
  /** Where each product's descriptor begins, and where in the target its first result goes, in bytes. */
  readonly products: readonly { readonly descriptor: number; readonly target: number }[]
  readonly threadScratchBytes: number
}

/** The product that computes a convolution. */
export function planForward(convolution: Convolution, tuning: MatmulTuning): ProductPlan {
  return joinPlans(forwardProducts(convolution).map((product) => planProduct(product, tuning)))
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
    ...withoutUnits,
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
  return joinPlans(backwardInputProducts(convolution).map((product) => planProduct(product, tuning)))
}

/** Floats of a row of filters, or of a column of patches, that are packed at a time. */
const blockDepth = 256
/** Floats of all patches that are packed at a time: they stay in the second-level cache. */
const blockPatches = 128 * 1024
const mostColumns = 1024
const mostRows = 120

/** A product with its descriptor. */
interface PlannedProduct {
  readonly words: readonly number[]
  readonly threadScratchBytes: number
  readonly start?: number
}

const withoutUnits = { unitRows: 0, unitColumns: 0, rowUnits: 0, columnUnits: 0 }

/** The most columns of a product that are packed at a time. */
export function fittingColumns({ problem, taps }: Product, width: number): number {
  const depth = blockOf(problem.channels, Math.floor(blockDepth / taps.length)) * taps.length
  return Math.max(width, Math.floor(Math.min(mostColumns, blockPatches / depth) / width) * width)
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple
const align = (bytes: number): number => roundUp(bytes, 64)

/** Splits `size` into equal blocks of at most `maximum`. */
export const blockOf = (size: number, maximum: number): number =>
  Math.ceil(size / Math.ceil(size / Math.max(1, maximum)))

/**
 * @param units how the result is divided for an epilogue, if it has one: the target then is the place of one unit
 */
export function planProduct(product: Product, tuning: MatmulTuning, units?: Blocks): PlannedProduct {
  const { problem, taps, contiguous, start } = product
  const width = tileColumns(tuning)
  const { rows, columns, channels } = problem
  const blockChannels = blockOf(channels, Math.floor(blockDepth / taps.length))
  const depth = blockChannels * taps.length
  const blockColumns = units ? units.columns : roundUp(blockOf(columns, fittingColumns(product, width)), width)
  const blockRows = roundUp(blockOf(units ? units.rows : rows, roundUp(mostRows, tuning.rows)), tuning.rows)
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
    ...(units ? stagedTarget(problem, units) : withoutUnits),
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
  return { words: encodeDescriptor(words, taps), threadScratchBytes: scratchRows, start }
}

/** Positions of one image follow each other in each row of the place of a unit. */
function stagedTarget({ gridY, gridX }: Problem, { rows, columns, rowUnits, columnUnits }: Blocks) {
  return {
    targetImage: 0,
    targetGroup: 0,
    targetRow: 4 * columns,
    targetZ: 4 * gridY * gridX,
    targetY: 4 * gridX,
    targetX: 4,
    unitRows: rows,
    unitColumns: columns,
    rowUnits,
    columnUnits,
  }
}

export function joinPlans(parts: readonly PlannedProduct[]): ProductPlan {
  const words: number[] = []
  const products = parts.map((part) => {
    const descriptor = 4 * words.length
    words.push(...part.words)
    return { descriptor, target: part.start ?? 0 }
  })
  const threadScratchBytes = parts.reduce((most, part) => Math.max(most, part.threadScratchBytes), 0)
  return { words: Int32Array.from(words), products, threadScratchBytes }
}
