import { TesseraError } from '@tessera/core'
import { checkPattern } from '@tessera/kernel-sparse-attention'
import { headPatterns, type LayerAttention } from '../gpt/configuration.ts'

/**
 * What position embeddings are made of, summed (Child et al. 2019, section 5.3). `data`: one for each axis of the data, such as row, column and
 * channel of an image in raster order. `attention`: one for the place in the period of the attention pattern, one for the number of the period.
 */
export type PositionEmbedding =
  | { readonly kind: 'data'; readonly extents: readonly number[] }
  | { readonly kind: 'attention'; readonly period: number }

/** The sizes of a Sparse Transformer. Make one with {@link sparseTransformerConfiguration}. */
export interface SparseTransformerConfiguration {
  /** Residual blocks, N. */
  readonly layers: number
  readonly heads: number
  /** Channels of the residual stream, d. */
  readonly width: number
  /** Channels of a head's queries and keys; `width / heads`, or half of that, in the paper. Values have `width / heads`. */
  readonly keyWidth: number
  readonly feedForwardWidth: number
  /** Positions of a sequence. */
  readonly length: number
  readonly vocabularySize: number
  /** Patterns that the layers take in turn. */
  readonly attention: readonly LayerAttention[]
  readonly positions: PositionEmbedding
  /**
   * Factor of the first weights of embeddings, whose deviation is 0.125 / √width in the paper. In models of few layers, whose branches do not begin that
   * small, elements are then hard to tell apart; with 32 they learn several times faster.
   */
  readonly embeddingScale: number
  /** Share dropped at the end of each residual branch. */
  readonly dropout: number
  /** Whether the backward pass computes the inside of each block again. */
  readonly recompute: boolean
}

/** What {@link sparseTransformerConfiguration} takes. */
export type SparseTransformerOptions = Pick<
  SparseTransformerConfiguration,
  'layers' | 'heads' | 'width' | 'length' | 'attention' | 'positions'
> &
  Partial<SparseTransformerConfiguration>

/**
 * A checked configuration. Left out: `keyWidth` is `width / heads`, `feedForwardWidth` 4 · width, `vocabularySize` 256 (bytes), `embeddingScale` 1, no dropout, and blocks are
 * computed again.
 *
 * @throws TesseraError `SPARSE_TRANSFORMER_CONFIGURATION` for sizes that do not fit each other, `SPARSE_PATTERN` for patterns that do not fit the length
 */
export function sparseTransformerConfiguration(options: SparseTransformerOptions): SparseTransformerConfiguration {
  const configuration: SparseTransformerConfiguration = {
    ...options,
    keyWidth: options.keyWidth ?? options.width / options.heads,
    feedForwardWidth: options.feedForwardWidth ?? 4 * options.width,
    vocabularySize: options.vocabularySize ?? 256,
    embeddingScale: options.embeddingScale ?? 1,
    dropout: options.dropout ?? 0,
    recompute: options.recompute ?? true,
  }
  check(configuration)
  return configuration
}

/** How many position embeddings there are of each kind, in row-major order of the positions. */
export function positionExtents({
  positions,
  length,
}: Pick<SparseTransformerConfiguration, 'positions' | 'length'>): readonly number[] {
  if (positions.kind === 'data') return positions.extents
  return [Math.ceil(length / positions.period), Math.min(length, positions.period)]
}

function check(configuration: SparseTransformerConfiguration): void {
  const { heads, width, length, attention, positions, dropout, embeddingScale } = configuration
  if (width % heads !== 0)
    fail(`width ${width} does not divide into ${heads} heads. Take a width that is a multiple of ${heads}.`)
  for (const name of [
    'layers',
    'heads',
    'width',
    'keyWidth',
    'feedForwardWidth',
    'length',
    'vocabularySize',
  ] as const) {
    const value = configuration[name]
    if (!(Number.isSafeInteger(value) && value >= 1)) fail(`${name} must be a whole number from 1 up, got ${value}.`)
  }
  if (!(dropout >= 0 && dropout < 1)) fail(`dropout must be at least 0 and below 1, got ${dropout}.`)
  if (!(embeddingScale > 0 && embeddingScale < 1e6))
    fail(`embeddingScale must be above 0 and below a million, got ${embeddingScale}.`)
  if (attention.length === 0) fail('attention must list at least one pattern.')
  for (const layer of attention) {
    const patterns = headPatterns(layer)
    if (patterns.length === 0 || heads % patterns.length !== 0)
      fail(`${heads} heads do not divide among ${patterns.length} patterns of attention.`)
    for (const pattern of patterns) {
      checkPattern(pattern, length)
      if (pattern.kind === 'blocks' && !pattern.causal)
        fail('a block mask that is not causal would show elements that are to be predicted. Make it with causal: true.')
    }
  }
  if (positions.kind === 'data') {
    const cells = positions.extents.reduce((product, extent) => product * extent, 1)
    if (cells !== length)
      fail(`position embeddings of [${positions.extents.join(', ')}] have ${cells} places, the length is ${length}.`)
  } else if (!(Number.isSafeInteger(positions.period) && positions.period >= 1)) {
    fail(`the period of position embeddings must be a whole number from 1 up, got ${positions.period}.`)
  }
}

function fail(reason: string): never {
  throw new TesseraError('SPARSE_TRANSFORMER_CONFIGURATION', `sparseTransformerConfiguration: ${reason}`)
}
