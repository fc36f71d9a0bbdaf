import { imageEpilogueWork, matmulTuning } from '@tessera/backend-wasm/kernel'
import type { Limits, OpCall } from '@tessera/core'
import { type ConvolutionLayout, type ConvolutionOp, gridOf, layoutOf } from './layout.ts'
import { cachedFilters, gradientTiles, mostTiles, mostTransientTiles, roundUp, widthOf } from './wasm/tuning.ts'
import { paddedTiles, unitBlocks } from './wasm/units.ts'

/** Share of the limit that the products reach. */
const efficiency = 0.85

/**
 * Whether a call's filters are transformed in passing, a few rows at a time, rather than all before the products: where they change and tiles are so
 * few that writing the transformed filters to memory would take longer than the products. An epilogue follows units of one image then.
 */
export function passesFilters(call: OpCall<ConvolutionOp>, { batch, target }: ConvolutionLayout, size: 4 | 6): boolean {
  if (call.op === 'convolutionBackwardFilter' || call.inputs[1]!.isConstant) return false
  const [gridY, gridX] = gridOf(target, size)
  return batch * gridY * gridX <= mostTransientTiles && (batch === 1 || !call.epilogue)
}

/**
 * Microseconds of a call, `undefined` for one that the kernels do not take: the products, beside which each block of tiles reads filters that do not
 * fit the caches, and the traffic of their operands and results. Tiles are written and read once on the way; filters that are transformed in every run (or the
 * sums of their gradients), spread over α² matrices, at about half of that rate, but in passing without going to memory.
 */
export function costOf(
  call: OpCall<ConvolutionOp>,
  size: 4 | 6,
  { gigaflops, gigabytesPerSecond, microsecondsPerCall }: Limits,
): number | undefined {
  const layout = layoutOf(call)
  const after = call.op === 'convolutionBackwardFilter' && call.epilogue ? undefined : imageEpilogueWork(call)
  if (!layout || after === undefined) return undefined
  const { batch, rows, channels, target } = layout
  const products = size * size
  const keepsFilters = call.op !== 'convolutionBackwardFilter' && call.inputs[1]!.isConstant === true
  const { blocks, tiles } = call.epilogue ? tilesOfUnits() : tilesOfAll()
  const computing = (2 * products * tiles * roundUp(rows, 6) * channels) / (1000 * efficiency * gigaflops)
  const filters = 4 * products * rows * channels
  const reading = (filters * (filters > cachedFilters ? blocks : 1)) / (1000 * gigabytesPerSecond)
  const inCache = call.op === 'convolutionBackwardFilter' ? sumsInCache() : passesFilters(call, layout, size)
  const ofFilters = keepsFilters ? 0 : inCache ? 0.25 : 2
  const traffic = 8 * products * (tiles * (rows + channels) + ofFilters * rows * channels)
  const rest = traffic / (1000 * gigabytesPerSecond) + (2 * after) / (1000 * gigaflops)
  return 2 * microsecondsPerCall + Math.max(computing, reading) + rest

  /** Whether the sums of the gradient to the filters stay in the cache. */
  function sumsInCache() {
    const [gridY, gridX] = gridOf(target, size)
    return gradientTiles(layout!, size) >= batch * gridY * gridX
  }

  /** How often all filters are read, and the tiles that are computed, with those that fill up the columns of a product. */
  function tilesOfAll() {
    const [gridY, gridX] = gridOf(target, size)
    const tiles = roundUp(batch * gridY * gridX, 8)
    return { blocks: Math.ceil(tiles / mostTiles(channels, rows, size, 16)), tiles }
  }

  function tilesOfUnits() {
    const tuning = matmulTuning('relaxed')
    const grid = gridOf(target, size)
    const { tileRows, columnUnits } = unitBlocks(layout!, size, tuning, 1)
    const reads = Math.ceil((tileRows * grid[1]) / mostTiles(channels, rows, size, widthOf(tuning)))
    return { blocks: batch * columnUnits * reads, tiles: batch * paddedTiles(grid, tileRows) }
  }
}
