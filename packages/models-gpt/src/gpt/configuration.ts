import { TesseraError } from '@tessera/core'
import { checkPattern, dense, fitted, type SparsePattern } from '@tessera/kernel-sparse-attention'

/** How a layer attends: one pattern for all heads, or one for each head of a cycle. */
export type LayerAttention = SparsePattern | readonly SparsePattern[]

/** The sizes of a GPT. Make one with {@link gptConfiguration}, which checks it and fills in what is left out. */
export interface GptConfiguration {
  /** Number of blocks, L. */
  readonly layers: number
  /** Attention heads of each block. */
  readonly heads: number
  /** Channels of the residual stream, d_model. */
  readonly width: number
  /** Channels of each head, d_head; `heads · headWidth` need not be `width`. */
  readonly headWidth: number
  /** Longest text in tokens: how many positions the model knows, n_ctx. */
  readonly blockSize: number
  /** Number of different tokens. */
  readonly vocabularySize: number
  /** Whether linear layers and layer norms have biases. */
  readonly biases: boolean
  /** Share of activations dropped while training: of the embeddings and of both branches of each block. */
  readonly dropout: number
  /** Channels of the feed-forward layer by those of the residual stream, d_ff / d_model. */
  readonly feedForwardRatio: number
  /** Added to the variance in layer norms. */
  readonly layerNormEpsilon: number
  /**
   * Standard deviation of the first weights of linear layers; of those that project into the residual stream it is
   * divided by √(2 · layers). Embeddings have 0.02 always. GPT-2's 0.02 is for widths from 768 up: narrower models learn
   * faster with more.
   */
  readonly initialDeviation: number
  /** Patterns of attention that the layers take in turn. */
  readonly attention: readonly LayerAttention[]
  /** Whether the backward pass computes the inside of each block again instead of keeping it (Chen et al. 2016). */
  readonly recompute: boolean
}

/** What {@link gptConfiguration} takes: sizes that every model needs, and the rest if it is not as in GPT-2. */
export type GptOptions = Pick<GptConfiguration, 'layers' | 'heads' | 'width' | 'blockSize' | 'vocabularySize'> &
  Partial<GptConfiguration>

/** Bounds that no model comes near; they keep a damaged file from asking for endless work. */
const largestSize = 2 ** 31 - 1
const mostLayers = 10_000

const sizes = ['layers', 'heads', 'width', 'headWidth', 'blockSize', 'vocabularySize'] as const

/**
 * A checked configuration. Left out: `headWidth` is `width / heads`, biases are on, dropout is 0, `feedForwardRatio` 4
 * `layerNormEpsilon` 1e-5 and `initialDeviation` 0.02, as in GPT-2 (Radford et al. 2019, section 2.3), and every layer attends densely.
 *
 * @throws TesseraError `GPT_CONFIGURATION` for sizes that are not positive integers or do not fit each other
 * @example
 * ```ts
 * import { gptConfiguration } from '@tessera/models-gpt'
 * const { headWidth } = gptConfiguration({ layers: 2, heads: 4, width: 64, blockSize: 32, vocabularySize: 65 })
 * console.log(headWidth) // 16
 * ```
 */
export function gptConfiguration(options: GptOptions): GptConfiguration {
  const configuration: GptConfiguration = {
    layers: options.layers,
    heads: options.heads,
    width: options.width,
    headWidth: options.headWidth ?? options.width / options.heads,
    blockSize: options.blockSize,
    vocabularySize: options.vocabularySize,
    biases: options.biases ?? true,
    dropout: options.dropout ?? 0,
    feedForwardRatio: options.feedForwardRatio ?? 4,
    layerNormEpsilon: options.layerNormEpsilon ?? 1e-5,
    initialDeviation: options.initialDeviation ?? 0.02,
    attention: options.attention ?? [dense()],
    recompute: options.recompute ?? false,
  }
  check(configuration, options.headWidth !== undefined)
  return configuration
}

/**
 * A configuration from JSON of unknown origin, after `JSON.parse`.
 *
 * @throws TesseraError `GPT_CONFIGURATION` when it is not an object of the right fields
 */
export function gptConfigurationFromJSON(json: unknown): GptConfiguration {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return fail(`it must be an object of sizes, got ${shown(json)}.`)
  }
  return gptConfiguration(json as GptOptions)
}

function check(configuration: GptConfiguration, headWidthGiven: boolean): void {
  const { width, heads, biases, dropout, feedForwardRatio, layerNormEpsilon, initialDeviation } = configuration
  const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0
  if (isSize(width) && isSize(heads) && !headWidthGiven && width % heads !== 0) {
    const below = width - (width % heads)
    fail(
      `width ${width} does not divide into ${heads} heads. Take a width that is a multiple of ${heads}, for example ` +
        `${below === 0 ? heads : `${below} or ${below + heads}`}, another number of heads, or give headWidth.`,
    )
  }
  for (const name of sizes) {
    const most = name === 'layers' ? mostLayers : largestSize
    const value = configuration[name]
    if (!isSize(value) || value > most) fail(`${name} must be a whole number from 1 to ${most}, got ${shown(value)}.`)
  }
  if (typeof biases !== 'boolean') fail(`biases must be true or false, got ${shown(biases)}.`)
  if (!(typeof dropout === 'number' && dropout >= 0 && dropout < 1)) {
    fail(`dropout must be at least 0 and below 1, got ${shown(dropout)}.`)
  }
  if (!(typeof feedForwardRatio === 'number' && isSize(width * feedForwardRatio))) {
    fail(
      `feedForwardRatio ${shown(feedForwardRatio)} times width ${width} must be a whole number from 1 up. Choose a ratio that gives one.`,
    )
  }
  if (!(typeof layerNormEpsilon === 'number' && layerNormEpsilon > 0 && layerNormEpsilon < 1)) {
    fail(`layerNormEpsilon must lie between 0 and 1, got ${shown(layerNormEpsilon)}.`)
  }
  if (!(typeof initialDeviation === 'number' && initialDeviation > 0 && initialDeviation < 10)) {
    fail(`initialDeviation must lie between 0 and 10, got ${shown(initialDeviation)}.`)
  }
  checkAttention(configuration)
}

/** Patterns come from files as well. Those that are larger than the text are fitted to it. */
function checkAttention({ attention, blockSize, heads, recompute }: GptConfiguration): void {
  if (typeof recompute !== 'boolean') fail(`recompute must be true or false, got ${shown(recompute)}.`)
  if (!Array.isArray(attention) || attention.length === 0)
    fail(`attention must be a list of patterns that the layers take in turn, got ${shown(attention)}.`)
  for (const layer of attention) {
    const patterns = headPatterns(layer)
    if (patterns.length === 0 || heads % patterns.length !== 0)
      fail(`${heads} heads do not divide among ${patterns.length} patterns of attention: ${shown(layer)}.`)
    for (const pattern of patterns) {
      if (!patternKinds.has(pattern?.kind)) fail(`attention has an unknown pattern ${shown(pattern)}.`)
      checkPattern(fitted(pattern, blockSize), blockSize)
    }
  }
}

const patternKinds = new Set<unknown>([
  'dense',
  'local',
  'strided',
  'fixed',
  'row',
  'column',
  'convolution',
  'blocks',
] satisfies SparsePattern['kind'][])

/** The patterns that the heads of a layer take in turn. */
export function headPatterns(layer: LayerAttention): readonly SparsePattern[] {
  return Array.isArray(layer) ? layer : [layer as SparsePattern]
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function fail(reason: string): never {
  throw new TesseraError('GPT_CONFIGURATION', `gptConfiguration: ${reason}`)
}
