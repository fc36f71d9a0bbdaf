import type { Blocks, MatmulTuning } from '@tessera/backend-wasm/kernel'
import { taps } from '../algorithms.ts'
import { type ConvolutionLayout, gridOf } from '../layout.ts'
import { mostTiles, roundUp, transientRows, widthOf } from './tuning.ts'

/** The units of a convolution that an epilogue follows: some channels of some rows of tiles of one image. */
export interface UnitBlocks extends Blocks {
  readonly tileRows: number
  /** Units of one image. */
  readonly perImage: number
}

/** The units of a convolution of one image whose filters are transformed in passing: some channels of the whole image. */
export function wholeImageBlocks({ rows, target }: ConvolutionLayout, tuning: MatmulTuning): Blocks {
  const columns = target[0] * target[1]
  const unitRows = transientRows(tuning)
  return { rows: unitRows, columns, rowUnits: Math.ceil(rows / unitRows), columnUnits: 1, m: rows, n: columns }
}

/** Columns of the narrowest tile that every variant has: the last columns of a product are computed as so many. */
const narrowest = 8

/** Tiles of an image that products compute, with those that fill up the columns of each unit of so many rows of tiles. */
export function paddedTiles([gridY, gridX]: readonly [number, number], tileRows: number): number {
  const whole = Math.floor(gridY / tileRows) * roundUp(tileRows * gridX, narrowest)
  return whole + roundUp((gridY % tileRows) * gridX, narrowest)
}

/**
 * Divides the result of a convolution: the rows of tiles of an image into parts that fit the caches and fill the columns of products, at least
 * two for each of several threads; where tiles are few and filters large, the channels among the threads. Sums are the same for every division.
 */
export function unitBlocks(
  { batch, rows, channels, target }: ConvolutionLayout,
  size: 4 | 6,
  tuning: MatmulTuning,
  threads: number,
): UnitBlocks {
  const grid = gridOf(target, size)
  const [gridY, gridX] = grid
  const splitsRows = threads > 1 && rows > batch * gridY * gridX
  const wanted = threads === 1 || splitsRows ? 1 : (2 * threads) / batch
  const fitting = (2 * mostTiles(channels, rows, size, widthOf(tuning))) / gridX
  const mostRows = Math.max(1, Math.floor(Math.min(gridY, fitting, gridY / wanted)))
  // Of those that compute the least, the fewest units: each reads all filters.
  let tileRows = mostRows
  for (let fewer = mostRows - 1; fewer >= 1; fewer--) {
    if (paddedTiles(grid, fewer) < paddedTiles(grid, tileRows)) tileRows = fewer
  }
  const columnUnits = Math.ceil(gridY / tileRows)
  const unitRows = roundUp(Math.ceil(rows / (splitsRows ? threads : 1)), tuning.rows)
  const rowUnits = Math.ceil(rows / unitRows)
  return {
    rows: unitRows,
    columns: tileRows * (size - taps + 1) * target[1],
    rowUnits,
    columnUnits,
    m: rows,
    n: target[0] * target[1],
    tileRows,
    perImage: rowUnits * columnUnits,
  }
}
