import type { Blocks, MatmulTuning } from '@tessera/backend-wasm/kernel'
import type { ConvolutionLayout } from './layout.ts'
import { gridOf } from './layout.ts'
import { mostTiles, roundUp, widthOf } from './tuning.ts'

/** The units of a convolution that an epilogue follows: some channels of some rows of tiles of one image. */
export interface UnitBlocks extends Blocks {
  readonly tileRows: number
  /** Units of one image. */
  readonly perImage: number
}

/**
 * Divides the result of a convolution: the rows of tiles of an image into as few parts as fit the caches, at least two for each of several threads;
 * where tiles are few and filters large, the channels among the threads. Sums are the same for every division.
 */
export function unitBlocks(
  { batch, rows, channels, target }: ConvolutionLayout,
  size: 4 | 6,
  tuning: MatmulTuning,
  threads: number,
): UnitBlocks {
  const [gridY, gridX] = gridOf(target, size)
  const tiles = gridY * gridX
  const splitsRows = threads > 1 && rows > batch * tiles
  const wanted = threads === 1 || splitsRows ? 1 : (2 * threads) / batch
  const parts = Math.ceil(Math.max(tiles / mostTiles(channels, rows, size, widthOf(tuning)), wanted))
  const tileRows = Math.ceil(gridY / Math.min(gridY, parts))
  const columnUnits = Math.ceil(gridY / tileRows)
  const unitRows = roundUp(Math.ceil(rows / (splitsRows ? threads : 1)), tuning.rows)
  const rowUnits = Math.ceil(rows / unitRows)
  return {
    rows: unitRows,
    columns: tileRows * (size - 2) * target[1],
    rowUnits,
    columnUnits,
    m: rows,
    n: target[0] * target[1],
    tileRows,
    perImage: rowUnits * columnUnits,
  }
}
