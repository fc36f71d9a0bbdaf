import fc from 'fast-check'
import {
  blocks,
  column,
  convolution,
  dense,
  fixed,
  local,
  row,
  type SparsePattern,
  strided,
} from '../patterns/pattern.ts'

/** Patterns of every kind that fit a length. */
export function anyPattern(length: number): fc.Arbitrary<SparsePattern> {
  const part = fc.integer({ min: 1, max: length })
  const raster = fc.record({ text: fc.integer({ min: 0, max: length }), width: fc.integer({ min: 1, max: 9 }) })
  const mask = fc.integer({ min: Math.ceil(length / 8), max: length }).chain((size) => {
    const count = Math.ceil(length / size)
    const line = fc.array(fc.boolean(), { minLength: count, maxLength: count })
    return fc.tuple(fc.array(line, { minLength: count, maxLength: count }), fc.boolean()).map(([lines, causal]) =>
      blocks(
        size,
        lines.map((cells, a) => cells.map((cell, b) => cell || a === b)),
        { causal },
      ),
    )
  })
  return fc.oneof(
    fc.constant(dense()),
    part.map(local),
    fc.tuple(part, fc.constantFrom('both', 'window', 'column')).map(([stride, which]) => strided(stride, which)),
    fc.tuple(part, fc.nat(), fc.nat(), fc.constantFrom('both', 'block', 'summary')).map(([block, c, s, which]) => {
      const summary = 1 + (c % block)
      return fixed(block, summary, { subBlock: s % Math.floor(block / summary), part: which })
    }),
    raster.map(({ text, width }) => row(text, width)),
    raster.map(({ text, width }) => column(text, width)),
    fc
      .tuple(raster, fc.nat())
      .map(([{ text, width }, s]) => convolution(text, width, 1 + 2 * (s % Math.ceil(width / 2)))),
    mask,
  )
}
