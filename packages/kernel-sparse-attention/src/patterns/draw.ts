import { checkPattern } from './check.ts'
import type { SparsePattern } from './pattern.ts'
import { isVisible } from './visible.ts'

/** The query itself, other keys that it sees, and those that it does not. */
const colours = { itself: '#12355b', seen: '#3a86c8', hidden: '#eef2f6' } as const

export interface DrawPatternOptions {
  /** Points of the picture for one position; 8 by default. */
  readonly cell?: number
}

/**
 * A pattern as an SVG picture: a line for each query from top to bottom, a column for each key, and dark where the query sees the key.
 *
 * @throws TesseraError `SPARSE_PATTERN` for a pattern that does not fit the length
 *
 * @example
 * ```ts
 * import { drawPattern, fixed } from '@tessera/kernel-sparse-attention'
 * const picture = drawPattern(fixed(8, 2), 32)
 * console.log(picture.startsWith('<svg')) // true
 * ```
 */
export function drawPattern(pattern: SparsePattern, length: number, { cell = 8 }: DrawPatternOptions = {}): string {
  checkPattern(pattern, length)
  const [itself, others]: [string[], string[]] = [[], []]
  for (let i = 0; i < length; i++) {
    // Neighbouring keys are one bar.
    for (let j = 0; j < length; j++) {
      if (!isVisible(pattern, i, j)) continue
      let end = j + 1
      while (end < length && end !== i && end !== i + 1 && isVisible(pattern, i, end)) end++
      const bars = j === i ? itself : others
      bars.push(`M${j * cell} ${i * cell}h${(end - j) * cell}v${cell}h${(j - end) * cell}z`)
      j = end - 1
    }
  }
  const size = length * cell
  const path = (colour: string, bars: readonly string[]) => `<path fill="${colour}" d="${bars.join('')}"/>`
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" width="${size}" height="${size}">` +
    `<title>${pattern.kind} attention, ${length} positions</title>` +
    `${path(colours.hidden, [`M0 0h${size}v${size}h${-size}z`])}${path(colours.seen, others)}${path(colours.itself, itself)}</svg>\n`
  )
}

/** Pixels, `[3, height, width]`: what `encodePng` of `@tessera/nn/data` takes. */
export interface PatternPixels {
  readonly data: Uint8Array
  readonly shape: readonly [channels: number, height: number, width: number]
}

/**
 * The same picture as pixels.
 *
 * @throws TesseraError `SPARSE_PATTERN` for a pattern that does not fit the length
 *
 * @example
 * ```ts
 * import { strided, patternPixels } from '@tessera/kernel-sparse-attention'
 * const { data, shape } = patternPixels(strided(4), 16, { cell: 2 })
 * console.log(shape, data.length) // [3, 32, 32] 3072
 * ```
 */
export function patternPixels(
  pattern: SparsePattern,
  length: number,
  { cell = 8 }: DrawPatternOptions = {},
): PatternPixels {
  checkPattern(pattern, length)
  const size = length * cell
  const data = new Uint8Array(3 * size * size)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [i, j] = [Math.floor(y / cell), Math.floor(x / cell)]
      const colour = isVisible(pattern, i, j) ? (i === j ? colours.itself : colours.seen) : colours.hidden
      for (let channel = 0; channel < 3; channel++)
        data[(channel * size + y) * size + x] = Number.parseInt(colour.slice(1 + 2 * channel, 3 + 2 * channel), 16)
    }
  }
  return { data, shape: [3, size, size] }
}
