import type { NestAxis } from './axes.ts'
import { type LoweredBody, structureOf, variesOuter } from './body.ts'
import { generatedFunction } from './generate.ts'
import { emitMap } from './map.ts'
import { chooseVectors, commonWords, countAxis, countOf, leastItems, loopAxes, type Part, roundUp } from './parts.ts'
import { tileWidth } from './tiles.ts'

/** Smallest part of a row that is worth an item of its own, in elements. */
const smallestBlock = 1024

/** How a map body runs. */
export function mapParts(body: LoweredBody): Part[] {
  const { inner } = body
  const crossed = crossedAxis(body)
  const outer = body.outer.filter((axis) => axis !== crossed?.axis)
  const rows = countOf(outer)
  if (countOf(body.outer) * inner.extent === 0) return []
  const blockSize = crossed ? tileWidth : blockSizeOf(rows, inner.extent)
  const blocks = Math.ceil(inner.extent / blockSize)
  const vectors = chooseVectors(body)
  const words = commonWords(body)
  const axes = loopAxes(words, body, 'outer', outer, variesOuter)
  axes.push(countAxis(words, body, 'block', blocks))
  words.integer('items', rows * blocks)
  words.integer('blockSize', blockSize)
  const tiles = crossed && {
    axis: loopAxes(words, body, 'row', [crossed.axis], variesOuter)[0]!,
    crossing: crossed.crossing,
  }
  const structure = `${structureOf(body)}|${vectors}|${crossed?.crossing}`
  const loops = { axes, vectors, tiles }
  const emitted = generatedFunction(structure, body, words, (code, bases) => emitMap(code, loops, bases))
  return [{ function: emitted, body, words }]
}

/** Rows are whole if there are enough of them, else in parts. */
function blockSizeOf(rows: number, length: number): number {
  if (rows >= leastItems) return length
  const share = Math.ceil(length / Math.ceil(leastItems / rows))
  return Math.min(length, Math.max(smallestBlock, roundUp(share, 16)))
}

/**
 * The axis along which loads are contiguous that are not so along the vectors, if there is one. It goes innermost, and the vectors'
 * axis in short blocks outside of it, so that a transposition reads and writes whole cache lines.
 */
function crossedAxis({ outer, inner, accesses }: LoweredBody): { axis: NestAxis; crossing: number[] } | undefined {
  if (inner.extent < tileWidth || accesses.some(({ kind, bytes }) => kind !== 'iota' && bytes !== 4)) return undefined
  for (const axis of outer) {
    const crossing = accesses.flatMap(({ kind, inner: step }, i) =>
      kind === 'load' && step === 'gather' && axis.strides[i] === 1 ? [i] : [],
    )
    if (crossing.length > 0 && axis.extent >= 4) return { axis, crossing }
  }
  return undefined
}
