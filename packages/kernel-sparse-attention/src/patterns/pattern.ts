// Type aliases, not interfaces: so patterns are JSON values by type, as configurations in checkpoints are.

/**
 * Which keys a query sees. Positions count from 0; `i` is a query's and `j` a key's, and `j ≤ i` always holds unless a pattern says otherwise.
 * Every pattern lets a query see itself.
 */
export type SparsePattern =
  | DensePattern
  | LocalPattern
  | StridedPattern
  | FixedPattern
  | RasterPattern
  | ConvolutionPattern
  | BlockPattern

/** All keys up to the query. */
export type DensePattern = {
  readonly kind: 'dense'
}

/** The last `window` keys, the query's own among them: GPT-3's banded layers. */
export type LocalPattern = {
  readonly kind: 'local'
  readonly window: number
}

/**
 * Child et al. 2019, section 4.2: the last `stride` keys, the query's own among them (one fewer than in the paper's formula, as in its released
 * code), and every key a multiple of `stride` before it. `part` takes one of the two, for heads or layers of their own.
 */
export type StridedPattern = {
  readonly kind: 'strided'
  readonly stride: number
  readonly part: 'both' | 'window' | 'column'
}

/**
 * Child et al. 2019, section 4.2: the query's own block of `block` keys, and in every block `summary` cells that all later queries see:
 * the last ones, or, for other heads, those `subBlock · summary` cells before. `part` takes one of the two; `summary` alone sees the query's own
 * key as well, so that early queries see something.
 */
export type FixedPattern = {
  readonly kind: 'fixed'
  readonly block: number
  readonly summary: number
  readonly subBlock: number
  readonly part: 'both' | 'block' | 'summary'
}

/**
 * DALL·E's masks (Ramesh et al. 2021, appendix B.1): `text` positions that are causal among themselves, then an image in raster order that
 * sees all text. `row`: the last `width` keys besides its own, so the last of them is the one above. `column`: the keys above.
 */
export type RasterPattern = {
  readonly kind: 'row' | 'column'
  readonly text: number
  readonly width: number
}

/** As `RasterPattern`: the keys of a `size` × `size` window around the query that come before it, by raster offsets. */
export type ConvolutionPattern = {
  readonly kind: 'convolution'
  readonly text: number
  readonly width: number
  readonly size: number
}

/** Blocks of `size` × `size`: line `a` of the mask has a `1` at place `b` where queries of block `a` see keys of block `b`. */
export type BlockPattern = {
  readonly kind: 'blocks'
  readonly size: number
  readonly mask: readonly string[]
  /** Whether queries see keys after their own. */
  readonly causal: boolean
}

export const dense = (): DensePattern => ({ kind: 'dense' })

export const local = (window: number): LocalPattern => ({ kind: 'local', window })

/** GPT-3's locally banded attention (Brown et al. 2020, section 2.1): a `local` pattern by the paper's name. */
export const banded = (width: number): LocalPattern => local(width)

export const strided = (stride: number, part: StridedPattern['part'] = 'both'): StridedPattern => ({
  kind: 'strided',
  stride,
  part,
})

export const fixed = (
  block: number,
  summary: number,
  options: { readonly subBlock?: number; readonly part?: FixedPattern['part'] } = {},
): FixedPattern => ({ kind: 'fixed', block, summary, subBlock: options.subBlock ?? 0, part: options.part ?? 'both' })

/** A fixed pattern for each head, each with a sub-block of summary cells of its own, as long as there are some. */
export const fixedHeads = (block: number, summary: number, heads: number): FixedPattern[] =>
  Array.from({ length: heads }, (_, head) =>
    fixed(block, summary, { subBlock: head % Math.max(1, Math.floor(block / summary)) }),
  )

export const row = (text: number, width: number): RasterPattern => ({ kind: 'row', text, width })
export const column = (text: number, width: number): RasterPattern => ({ kind: 'column', text, width })
export const convolution = (text: number, width: number, size: number): ConvolutionPattern => ({
  kind: 'convolution',
  text,
  width,
  size,
})

/** A block mask: `mask[a][b]` says whether queries of block `a` see keys of block `b`. */
export const blocks = (
  size: number,
  mask: readonly (readonly (boolean | number)[])[],
  options: { readonly causal?: boolean } = {},
): BlockPattern => ({
  kind: 'blocks',
  size,
  mask: mask.map((line) => line.map((seen) => (seen ? '1' : '0')).join('')),
  causal: options.causal ?? true,
})

/** The pattern of a layer where layers take patterns in turn (Child et al. 2019, section 4.3, first way). */
export function interleaved(patterns: readonly SparsePattern[], layer: number): SparsePattern {
  return patterns[layer % patterns.length]!
}
