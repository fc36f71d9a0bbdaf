import type { Expression, FunctionBuilder, Local } from '@tessera/backend-wasm'
import type { Algorithm } from '../algorithms.ts'
import { type ConvolutionLayout, gridOf } from '../layout.ts'
import type { TilesFunction } from './lanes.ts'

/**
 * What the functions know of a convolution. Tiles are counted over all images; rows are channels of the result, channels those of the source;
 * distances are in bytes.
 */
export const geometryWords = [
  'rows',
  'channels',
  'tiles',
  'gridY',
  'gridX',
  'originY',
  'originX',
  'sourceExtentY',
  'sourceExtentX',
  'sourceImage',
  'sourceChannel',
  'sourceRow',
  'targetExtentY',
  'targetExtentX',
  'targetImage',
  'targetChannel',
  'targetRow',
] as const
export type GeometryWord = (typeof geometryWords)[number]

export function geometryOf(layout: ConvolutionLayout, size: 4 | 6): Record<GeometryWord, number> {
  const { batch, rows, channels, source, target, low } = layout
  const [gridY, gridX] = gridOf(target, size)
  const plane = ([height, width]: readonly [number, number]) => 4 * height * width
  return {
    rows,
    channels,
    tiles: batch * gridY * gridX,
    gridY,
    gridX,
    originY: -low[0],
    originX: -low[1],
    sourceExtentY: source[0],
    sourceExtentX: source[1],
    sourceImage: channels * plane(source),
    sourceChannel: plane(source),
    sourceRow: 4 * source[1],
    targetExtentY: target[0],
    targetExtentX: target[1],
    targetImage: rows * plane(target),
    targetChannel: plane(target),
    targetRow: 4 * target[1],
  }
}

interface TileRange {
  readonly first: Local<'i32'>
  readonly count: Local<'i32'>
  readonly padded: Local<'i32'>
}

/** Emits the writing of the entries of some tiles: where they lie in the source, and where in the target. */
export function emitTables(
  fn: Pick<FunctionBuilder, 'call'>,
  { size, outputs }: Algorithm,
  tiles: TilesFunction,
  word: (name: GeometryWord) => Expression<'i32'>,
  range: TileRange,
  tables: Readonly<Record<'source' | 'target', Local<'i32'>>>,
): void {
  const grid = { ...range, gridY: word('gridY'), gridX: word('gridX'), step: outputs }
  fn.call(tiles, {
    ...grid,
    table: tables.source,
    originY: word('originY'),
    originX: word('originX'),
    extentY: word('sourceExtentY'),
    extentX: word('sourceExtentX'),
    size,
    imageStep: word('sourceImage'),
    rowStep: word('sourceRow'),
  })
  fn.call(tiles, {
    ...grid,
    table: tables.target,
    originY: 0,
    originX: 0,
    extentY: word('targetExtentY'),
    extentX: word('targetExtentX'),
    size: outputs,
    imageStep: word('targetImage'),
    rowStep: word('targetRow'),
  })
}
