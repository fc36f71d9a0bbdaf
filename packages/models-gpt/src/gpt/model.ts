import { attention, range, ShapeError, splitKey, type Tensor } from '@tessera/core'
import { fitted, type SparsePattern, sparseAttention } from '@tessera/kernel-sparse-attention'
import { Dropout, Embedding, type Initializer, LayerNorm, Linear, Module, normal } from '@tessera/nn'
import { type GptConfiguration, headPatterns } from './configuration.ts'
import { recomputed } from './recomputed.ts'

/** Keys and values of one layer at the positions so far, each `[batch, heads, blockSize, headWidth]`. */
export interface LayerCache {
  keys: Tensor
  values: Tensor
}

/** Where a piece of text stands, and what the layers keep of the text before it. */
export interface GptCache {
  /** Position of the piece's first token in the text, i32 scalar. */
  readonly position: Tensor
  /** One for each block; forward passes assign new tensors onto them. */
  readonly layers: readonly LayerCache[]
}

/** First weights of embeddings in nanoGPT and transformers. (GPT-2's code has 0.01 for positions.) */
const embeddingInitializer = normal(0.02)

/** First weights of projections into the residual stream, into which 2L of them add (Radford et al. 2019, section 2.3). */
function residualInitializer({ layers, initialDeviation }: GptConfiguration): Initializer {
  return normal(initialDeviation / Math.sqrt(2 * layers))
}

/** Causal self-attention with several heads (Vaswani et al. 2017, section 3.2.2). */
export class CausalSelfAttention extends Module {
  readonly heads: number
  readonly headWidth: number
  /** What the heads see, in turn. */
  readonly patterns: readonly SparsePattern[]
  /** Queries, keys and values of all heads in one product: `[width, 3 · heads · headWidth]` */
  readonly queryKeyValue: Linear
  /** `[heads · headWidth, width]` */
  readonly projection: Linear

  constructor(configuration: GptConfiguration, key: Tensor, layer = 0) {
    super()
    const { width, heads, headWidth, biases: bias, initialDeviation, attention } = configuration
    this.patterns = headPatterns(attention[layer % attention.length]!)
    this.heads = heads
    this.headWidth = headWidth
    const [first, second] = splitKey(key) as [Tensor, Tensor]
    const initializer = normal(initialDeviation)
    this.queryKeyValue = new Linear(width, 3 * heads * headWidth, { key: first, bias, initializer })
    const toResidual = residualInitializer(configuration)
    this.projection = new Linear(heads * headWidth, width, { key: second, bias, initializer: toResidual })
  }

  /** @param x `[batch, time, width]`, a whole text, or with a cache the piece at its position */
  forward(x: Tensor, position?: Tensor, cache?: LayerCache): Tensor {
    const [batch, time] = x.shape as [number, number]
    const { heads, headWidth } = this
    const parts = this.queryKeyValue.forward(x).reshape([batch, time, 3, heads, headWidth]).transpose([2, 0, 3, 1, 4])
    const query = parts.select(0, 0) // [batch, heads, time, headWidth]
    let keys = parts.select(0, 1)
    let values = parts.select(0, 2)
    if (cache && position) {
      const places = range(time).add(position)
      keys = cache.keys = cache.keys.scatterSet(places, keys, 2) // [batch, heads, blockSize, headWidth]
      values = cache.values = cache.values.scatterSet(places, values, 2)
    }
    // Causality also hides the places of the cache that have not been filled.
    const patterns = this.patterns.map((pattern) => fitted(pattern, keys.shape[2]!))
    const offset = position && { offset: position }
    const mixed = patterns.every(({ kind }) => kind === 'dense')
      ? attention(query, keys, values, { causal: true, ...offset })
      : sparseAttention(query, keys, values, patterns, { ...offset })
    return this.projection.forward(mixed.transpose([0, 2, 1, 3]).reshape([batch, time, heads * headWidth]))
  }
}

/** Two linear layers with GELU between, in GPT-2's tanh form. */
export class FeedForward extends Module {
  readonly expansion: Linear
  readonly projection: Linear

  constructor(configuration: GptConfiguration, key: Tensor) {
    super()
    const { width, feedForwardRatio, biases: bias, initialDeviation } = configuration
    const [first, second] = splitKey(key) as [Tensor, Tensor]
    const inner = width * feedForwardRatio
    this.expansion = new Linear(width, inner, { key: first, bias, initializer: normal(initialDeviation) })
    const toResidual = residualInitializer(configuration)
    this.projection = new Linear(inner, width, { key: second, bias, initializer: toResidual })
  }

  forward(x: Tensor): Tensor {
    return this.projection.forward(this.expansion.forward(x).gelu('tanh'))
  }
}

/** Attention and a feed-forward layer, each with a layer norm before it and a residual connection around both. */
export class GptBlock extends Module {
  readonly attentionNorm: LayerNorm
  readonly attention: CausalSelfAttention
  readonly feedForwardNorm: LayerNorm
  readonly feedForward: FeedForward
  readonly attentionDropout: Dropout | undefined
  readonly feedForwardDropout: Dropout | undefined

  constructor(configuration: GptConfiguration, key: Tensor, layer = 0) {
    super()
    const { width, biases, dropout, layerNormEpsilon: epsilon } = configuration
    const [first, second, third, fourth] = splitKey(key, 4) as [Tensor, Tensor, Tensor, Tensor]
    this.attentionNorm = new LayerNorm(width, { bias: biases, epsilon })
    this.attention = new CausalSelfAttention(configuration, first, layer)
    this.feedForwardNorm = new LayerNorm(width, { bias: biases, epsilon })
    this.feedForward = new FeedForward(configuration, second)
    this.attentionDropout = dropout > 0 ? new Dropout(dropout, { key: third }) : undefined
    this.feedForwardDropout = dropout > 0 ? new Dropout(dropout, { key: fourth }) : undefined
  }

  /** @param x `[batch, time, width]` */
  forward(x: Tensor, position?: Tensor, cache?: LayerCache): Tensor {
    const attended = this.attention.forward(this.attentionNorm.forward(x), position, cache)
    const middle = x.add(this.attentionDropout?.forward(attended) ?? attended)
    const transformed = this.feedForward.forward(this.feedForwardNorm.forward(middle))
    return middle.add(this.feedForwardDropout?.forward(transformed) ?? transformed)
  }
}

/**
 * The language model of GPT-2 (Radford et al. 2019, section 2.3) and GPT-3 (Brown et al. 2020, section 2.1, with its
 * alternating dense and banded layers): learned positions, pre-norm blocks, a final norm, and the token embedding again as output.
 *
 * @example
 * ```ts
 * import { randomKey, tensor } from '@tessera/core'
 * import { Gpt, gptConfiguration } from '@tessera/models-gpt'
 * const configuration = gptConfiguration({ layers: 2, heads: 2, width: 16, blockSize: 8, vocabularySize: 65 })
 * const model = new Gpt(configuration, randomKey(0))
 * console.log(model.forward(tensor(new Int32Array([1, 2, 3]), [1, 3])).shape) // [1, 3, 65]
 * ```
 */
export class Gpt extends Module {
  readonly configuration: GptConfiguration
  readonly tokenEmbedding: Embedding
  readonly positionEmbedding: Embedding
  readonly blocks: readonly GptBlock[]
  readonly finalNorm: LayerNorm
  readonly embeddingDropout: Dropout | undefined

  /** @param key random key of the first weights, for example `randomKey(seed)` */
  constructor(configuration: GptConfiguration, key: Tensor) {
    super()
    const { layers, width, blockSize, vocabularySize, biases, dropout, layerNormEpsilon: epsilon } = configuration
    const [first, second, third, ...keys] = splitKey(key, 3 + layers) as [Tensor, Tensor, Tensor, ...Tensor[]]
    this.configuration = configuration
    this.tokenEmbedding = new Embedding(vocabularySize, width, { key: first, initializer: embeddingInitializer })
    this.positionEmbedding = new Embedding(blockSize, width, { key: second, initializer: embeddingInitializer })
    this.blocks = keys.map((key, layer) => new GptBlock(configuration, key, layer))
    this.finalNorm = new LayerNorm(width, { bias: biases, epsilon })
    this.embeddingDropout = dropout > 0 ? new Dropout(dropout, { key: third }) : undefined
  }

  /**
   * Logits of the token after each token.
   *
   * @param tokens `[batch, time]`, i32, with `time` up to the block size
   * @returns `[batch, time, vocabulary]`
   */
  forward(tokens: Tensor): Tensor {
    return this.logits(this.hidden(tokens))
  }

  /**
   * The residual stream after the last block, normalised.
   *
   * @param tokens `[batch, time]`
   * @param cache to go on with a text: `tokens` are its piece from the cache's position on
   * @returns `[batch, time, width]`
   */
  hidden(tokens: Tensor, cache?: GptCache): Tensor {
    const { blockSize } = this.configuration
    const time = tokens.shape[1]
    if (tokens.rank !== 2 || time === undefined || time > blockSize) {
      throw new ShapeError(
        `Gpt: takes tokens of shape [batch, time] with time up to the block size ${blockSize}, got [${tokens.shape.join(', ')}]. ` +
          'Cut the text, or make a model with a larger blockSize.',
      )
    }
    const places = cache ? range(time).add(cache.position) : range(time)
    let x = this.tokenEmbedding.forward(tokens).add(this.positionEmbedding.forward(places))
    x = this.embeddingDropout?.forward(x) ?? x
    this.blocks.forEach((block, layer) => {
      if (this.configuration.recompute && !cache) x = recomputed(block, x)
      else x = block.forward(x, cache?.position, cache?.layers[layer])
    })
    return this.finalNorm.forward(x)
  }

  /**
   * @param hidden `[..., width]`
   * @returns `[..., vocabulary]`
   */
  logits(hidden: Tensor): Tensor {
    return this.tokenEmbedding.attend(hidden)
  }
}
