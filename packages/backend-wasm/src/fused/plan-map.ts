import type { NestAxis } from './axes.ts'
import { type LoweredBody, structureOf, variesOuter } from './body.ts'
import { generatedFunction } from './generate.ts'
import { emitMap } from './map.ts'
import { chooseVectors, commonWords, countAxis, countOf, leastItems, loopAxes, type Part, roundUp } from './parts.ts'

/** Smallest part of a row that is worth an item of its own, in elements. */
const smallestBlock = 1024

/** How a map body runs. */
export function mapParts(body: LoweredBody): Part[] {
  const { outer, tiled } = orderOuter(body)
  const { inner } = body
  const rows = countOf(outer)
  if (rows * inner.extent === 0) return []
  const share = Math.ceil(inner.extent / Math.ceil(leastItems / rows))
  const blockSize = tiled
    ? 16
    : rows >= leastItems
      ? inner.extent
      : Math.min(inner.extent, Math.max(smallestBlock, roundUp(share, 16)))
  const blocks = Math.ceil(inner.extent / blockSize)
  const vectors = chooseVectors(body)
  const words = commonWords(body)
  const axes = loopAxes(words, body, 'outer', outer, variesOuter)
  axes.splice(tiled ? axes.length - 1 : axes.length, 0, countAxis(words, body, 'block', blocks))
  words.integer('items', rows * blocks)
  words.integer('blockSize', blockSize)
  const structure = `${structureOf(body)}|${vectors}|${tiled}`
  const emitted = generatedFunction(structure, body, words, (code, bases) => emitMap(code, { axes, vectors }, bases))
  return [{ function: emitted, body, words }]
}

/**
 * If an operand is contiguous along another axis than the vectors, that axis goes innermost and the vectors' axis in blocks outside
 * of it: a transposition then reads and writes whole cache lines.
 */
function orderOuter({ outer, inner, accesses }: LoweredBody): { outer: readonly NestAxis[]; tiled: boolean } {
  if (inner.extent <= 128) return { outer, tiled: false }
  for (const axis of outer) {
    const crosses = accesses.some(
      (access, i) => access.inner === 'gather' && access.kind !== 'iota' && Math.abs(axis.strides[i]!) === 1,
    )
    if (crosses && axis.extent >= 4) return { outer: [...outer.filter((other) => other !== axis), axis], tiled: true }
  }
  return { outer, tiled: false }
}
