import { checkPattern } from './check.ts'
import type { SparsePattern } from './pattern.ts'
import { isVisible } from './visible.ts'

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
  const bars: string[] = []
  for (let i = 0; i < length; i++) {
    // Neighbouring keys are one bar.
    for (let j = 0; j < length; j++) {
      if (!isVisible(pattern, i, j)) continue
      let end = j + 1
      while (end < length && end !== i && end !== i + 1 && isVisible(pattern, i, end)) end++
      const fill = j === i ? '#12355b' : '#3a86c8'
      bars.push(`<path fill="${fill}" d="M${j * cell} ${i * cell}h${(end - j) * cell}v${cell}h${(j - end) * cell}z"/>`)
      j = end - 1
    }
  }
  const size = length * cell
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" width="${size}" height="${size}">` +
    `<rect width="${size}" height="${size}" fill="#eef2f6"/>${bars.join('')}</svg>\n`
  )
}
