import { canFinish, laneOf } from '@tessera/backend-webgpu/kernel'
import { isFloat, type OpCall, type Operand, ownInputs, resultOf } from '@tessera/core'
import type { Algorithm } from '../algorithms.ts'
import { type ConvolutionLayout, type ConvolutionOp, geometryOf, gridOf } from '../layout.ts'

/** What the shaders know of a convolution. */
export interface Problem {
  readonly op: ConvolutionOp
  readonly layout: ConvolutionLayout
  /** The op's own inputs: what tiles are taken from, and filters or, for the gradient to them, errors. */
  readonly source: Operand
  readonly other: Operand
}

/** `undefined` for calls that no shader of this folder computes. Operands may lie in any way and be of any format of floats. */
export function problemOf(call: OpCall<ConvolutionOp>): Problem | undefined {
  const own = ownInputs(call)
  const [source, other] = own
  if (!source || !other || !call.outputs[0]) return undefined
  const fits =
    [...own, resultOf(call)].every(({ dtype }) => isFloat(dtype)) &&
    [...call.inputs, ...call.outputs].every(({ dtype }) => laneOf(dtype) !== undefined) &&
    canFinish(call)
  const layout = fits ? geometryOf(call) : undefined
  return layout && { op: call.op, layout, source, other }
}

export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

/** Tiles of all images. */
export function tilesOf({ batch, target }: ConvolutionLayout, size: 4 | 6): number {
  const [rows, columns] = gridOf(target, size)
  return batch * rows * columns
}

/** Some of the tiles, computed at a time. */
export interface TileRange {
  readonly first: number
  readonly count: number
}

/**
 * Bytes that transformed tiles, or the results of products with them, may take at a time: what processors have as caches, and on graphics
 * cards what memory can spare.
 */
const chunkBytes = { processor: 16 * 2 ** 20, card: 96 * 2 ** 20 } as const

/** Cuts the tiles into ranges of about the same size, whose data and results are no larger than is allowed. */
export function tileRanges(
  { layout }: Problem,
  { size }: Algorithm,
  { software, maximumBufferBytes }: { readonly software: boolean; readonly maximumBufferBytes: number },
): TileRange[] {
  const tiles = tilesOf(layout, size)
  const bytes = Math.min(software ? chunkBytes.processor : chunkBytes.card, maximumBufferBytes)
  const most = Math.max(4, Math.floor(bytes / (4 * size * size * Math.max(layout.rows + 3, layout.channels)) / 4) * 4)
  const ranges = Math.ceil(tiles / most)
  const count = roundUp(Math.ceil(tiles / ranges), 4)
  return Array.from({ length: Math.ceil(tiles / count) }, (_, i) => ({
    first: i * count,
    count: Math.min(count, tiles - i * count),
  }))
}
