import { type Expression, i32, select } from '@tessera/backend-wasm'
import type { MatmulTuning } from '@tessera/backend-wasm/kernel'
import { type ConvolutionLayout, gridOf } from '../layout.ts'

export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple
export const align = (bytes: number): number => roundUp(bytes, 64)

/** No multiple of a page: the operands of the products of one element lie in different sets of the cache. */
export const spread = (bytes: number): number => roundUp(bytes, 4096) + 192

/** Columns of the widest tile of the matrix product. */
export const widthOf = (tuning: MatmulTuning): number => 4 * tuning.widths[0]

/** Rows that tiles run over at a time: panels of filters that stay in the first-level cache for the next columns. */
export const blockRows = (tuning: MatmulTuning): number => 4 * tuning.rows
/**
 * The depth that tiles run over at a time, by α. Sums of 48 channels that are added up keep F(2×2) more exact than the direct kernel, whose sums have
 * 252 terms, and cost 2 to 5 % of the time; F(4×4) rounds more in its transforms.
 */
export const blockDepth = { 4: 48, 6: 256 } as const
/**
 * Rows and depth, by α, of the blocks of filters that are transformed in passing: such a block fits the second-level cache together with its results
 * for some dozens of tiles.
 */
export const transientRows = (tuning: MatmulTuning): number => 4 * tuning.rows
export const transientDepth = { 4: 48, 6: 128 } as const
/** The most tiles for which that is done: each block of filters reads all of them, from the last cache. */
export const mostTransientTiles = 64
/** Rows and channels, by α, of the sums of a unit of the gradient to the filters: they fit the second-level cache. */
export const gradientRows = (tuning: MatmulTuning): number => 4 * tuning.rows
export const gradientChannels = { 4: 128, 6: 64 } as const
/** The most tiles whose errors are summed at a time, and bytes that the operands of so many products may take. */
const gradientDepth = 256
const operandBytes = 16 * 2 ** 20
const fewestTiles = 64

/** Tiles whose errors are summed at a time: all of them, or blocks of about the same size. */
export function gradientTiles({ batch, rows, channels, target }: ConvolutionLayout, size: 4 | 6): number {
  const [gridY, gridX] = gridOf(target, size)
  const tiles = batch * gridY * gridX
  const fitting = Math.floor(operandBytes / (4 * size * size * (channels + rows)))
  const most = Math.min(gradientDepth, Math.max(fewestTiles, fitting))
  return roundUp(Math.ceil(tiles / Math.ceil(tiles / most)), 4)
}

/**
 * Threads share the tiles from here on, and each of them reads all filters; fewer tiles they transform all, and share the rows, so that each reads its
 * filters only.
 */
export const leastSharedTiles = 128

/** Filters of this many bytes are read from the last cache, larger ones from memory. */
export const cachedFilters = 12 * 2 ** 20

/**
 * The most tiles whose data and results a thread holds at a time, by α: few enough for its caches, but where all filters come from memory each
 * time, as many as hide that behind the products.
 */
export function mostTiles(channels: number, rows: number, size: 4 | 6, width: number): number {
  const products = size * size
  const bytesOfTile = 4 * products * (channels + rows)
  const least = 4 * products * channels * rows > cachedFilters ? 128 : width
  return roundUp(Math.max((1.5 * 2 ** 20) / bytesOfTile, least), width)
}

export const min = (a: Expression<'i32'>, b: Expression<'i32'>): Expression<'i32'> => select(i32.ltS(a, b), a, b)

type Branch = { if(condition: Expression<'i32'>, then: () => void, otherwise: () => void): void }

/** Emits `body` for the narrowest tile that holds so many columns. */
export function chooseNarrowest(
  fn: Branch,
  widths: readonly number[],
  columns: Expression<'i32'>,
  body: (index: number) => void,
  index = 0,
): void {
  const narrower = widths[index + 1]
  if (narrower === undefined) body(index)
  else {
    fn.if(
      i32.gtS(columns, 4 * narrower),
      () => body(index),
      () => chooseNarrowest(fn, widths, columns, body, index + 1),
    )
  }
}
