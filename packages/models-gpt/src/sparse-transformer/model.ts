import { attention, concatenate, range, ShapeError, splitKey, type Tensor, where, zeros } from '@tessera/core'
import { type SparsePattern, sparseAttention } from '@tessera/kernel-sparse-attention'
import { crossEntropy, Dropout, Embedding, LayerNorm, Linear, Module, normal, zerosInitializer } from '@tessera/nn'
import { headPatterns } from '../gpt/configuration.ts'
import type { LayerCache } from '../gpt/model.ts'
import { recomputed } from '../gpt/recomputed.ts'
import { positionExtents, type SparseTransformerConfiguration } from './configuration.ts'

/** First weights of a linear layer: deviation √(0.125 / inputs), as in the released code. (The paper prints 0.125 / √inputs.) */
const linearInitializer = (inputs: number, factor = 1) => normal(factor * Math.sqrt(0.125 / inputs))

/** A residual block (section 5.2): attention and a feed-forward layer, each normed before and dropped out after. */
export class SparseTransformerBlock extends Module {
  readonly heads: number
  readonly keyWidth: number
  readonly patterns: readonly SparsePattern[]
  readonly attentionNorm: LayerNorm
  /** Queries, keys and values of all heads: `[width, heads · (2 · keyWidth + valueWidth)]` */
  readonly queryKeyValue: Linear
  readonly projection: Linear
  readonly feedForwardNorm: LayerNorm
  readonly expansion: Linear
  readonly contraction: Linear
  readonly attentionDropout: Dropout | undefined
  readonly feedForwardDropout: Dropout | undefined

  constructor(configuration: SparseTransformerConfiguration, key: Tensor, layer: number) {
    super()
    const { layers, heads, width, keyWidth, feedForwardWidth, attention, dropout } = configuration
    const keys = splitKey(key, 6) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
    this.heads = heads
    this.keyWidth = keyWidth
    this.patterns = headPatterns(attention[layer % attention.length]!)
    this.attentionNorm = new LayerNorm(width)
    const outputs = 2 * heads * keyWidth + width
    this.queryKeyValue = new Linear(width, outputs, { key: keys[0], initializer: linearInitializer(width) })
    // 2N branches add into the residual stream.
    const toResidual = 1 / Math.sqrt(2 * layers)
    this.projection = new Linear(width, width, { key: keys[1], initializer: linearInitializer(width, toResidual) })
    this.feedForwardNorm = new LayerNorm(width)
    this.expansion = new Linear(width, feedForwardWidth, { key: keys[2], initializer: linearInitializer(width) })
    this.contraction = new Linear(feedForwardWidth, width, {
      key: keys[3],
      initializer: linearInitializer(feedForwardWidth, toResidual),
    })
    this.attentionDropout = dropout > 0 ? new Dropout(dropout, { key: keys[4] }) : undefined
    this.feedForwardDropout = dropout > 0 ? new Dropout(dropout, { key: keys[5] }) : undefined
  }

  /** @param x `[batch, length, width]`, a whole sequence, or with a cache the piece at its position */
  forward(x: Tensor, position?: Tensor, cache?: LayerCache): Tensor {
    const attended = this.attend(this.attentionNorm.forward(x), position, cache)
    const middle = x.add(this.attentionDropout?.forward(attended) ?? attended)
    const inner = this.expansion.forward(this.feedForwardNorm.forward(middle)).gelu('sigmoid')
    const transformed = this.contraction.forward(inner)
    return middle.add(this.feedForwardDropout?.forward(transformed) ?? transformed)
  }

  attend(x: Tensor, position?: Tensor, cache?: LayerCache): Tensor {
    const [batch, length, width] = x.shape as [number, number, number]
    const { heads, keyWidth, patterns } = this
    const own = heads * keyWidth
    const parts = this.queryKeyValue
      .forward(x)
      .split([own, own, width], -1)
      .map((part) => part.reshape([batch, length, heads, -1]).transpose([0, 2, 1, 3])) as [Tensor, Tensor, Tensor]
    const query = parts[0]
    let [, keys, values] = parts
    if (cache && position) {
      const places = range(length).add(position)
      keys = cache.keys = cache.keys.scatterSet(places, keys, 2)
      values = cache.values = cache.values.scatterSet(places, values, 2)
    }
    const offset = position && { offset: position }
    const mixed = patterns.every(({ kind }) => kind === 'dense')
      ? attention(query, keys, values, { causal: true, ...offset })
      : sparseAttention(query, keys, values, patterns, { ...offset }) // [batch, heads, length, width / heads]
    return this.projection.forward(mixed.transpose([0, 2, 1, 3]).reshape([batch, length, width]))
  }
}

/**
 * The Sparse Transformer (Child et al. 2019): an autoregressive model of long sequences of bytes, pixels or samples. Position `i` predicts element `i`
 * from those before it; a learned vector stands before the first one.
 *
 * @example
 * ```ts
 * import { randomKey, zeros } from '@tessera/core'
 * import { SparseTransformer, sparseTransformerPreset } from '@tessera/models-gpt'
 * const model = new SparseTransformer(sparseTransformerPreset('image-small', { layers: 2 }), randomKey(0))
 * const pixels = zeros([1, 784], 'i32')
 * console.log(model.forward(pixels).shape) // [1, 784, 256]
 * ```
 */
export class SparseTransformer extends Module {
  readonly configuration: SparseTransformerConfiguration
  readonly tokenEmbedding: Embedding
  /** `[width]`, what stands before the first element. */
  start: Tensor
  readonly positionEmbeddings: readonly Embedding[]
  readonly blocks: readonly SparseTransformerBlock[]
  readonly finalNorm: LayerNorm
  /** Starts at 0, so that the first predictions are all alike. */
  readonly output: Linear

  /** @param key random key of the first weights, for example `randomKey(seed)` */
  constructor(configuration: SparseTransformerConfiguration, key: Tensor) {
    super()
    const { layers, width, vocabularySize, embeddingScale } = configuration
    const extents = positionExtents(configuration)
    const [first, second, third, ...keys] = splitKey(key, 3 + extents.length + layers) as [
      Tensor,
      Tensor,
      Tensor,
      ...Tensor[],
    ]
    this.configuration = configuration
    const initializer = normal((embeddingScale * 0.125) / Math.sqrt(width))
    this.tokenEmbedding = new Embedding(vocabularySize, width, { key: first, initializer })
    this.start = initializer(second, [width])
    const ofPositions = normal((embeddingScale * 0.125) / Math.sqrt(width * extents.length))
    this.positionEmbeddings = extents.map(
      (extent, axis) => new Embedding(extent, width, { key: keys[axis]!, initializer: ofPositions }),
    )
    this.blocks = keys.slice(extents.length).map((own, layer) => new SparseTransformerBlock(configuration, own, layer))
    this.finalNorm = new LayerNorm(width)
    this.output = new Linear(width, vocabularySize, { key: third, initializer: zerosInitializer })
  }

  /**
   * Logits of each element, from those before it.
   *
   * @param elements `[batch, length]`, i32
   * @returns `[batch, length, vocabulary]`
   */
  forward(elements: Tensor): Tensor {
    const { length, width } = this.configuration
    if (elements.rank !== 2 || elements.shape[1] !== length) {
      throw new ShapeError(
        `SparseTransformer: takes elements of shape [batch, ${length}], got [${elements.shape.join(', ')}]. Cut or fill up the sequence, or make a model of its length.`,
      )
    }
    const batch = elements.shape[0]!
    const embedded = this.tokenEmbedding.forward(elements.slice(1, 0, length - 1))
    const start = this.start.reshape([1, 1, width]).expand([batch, 1, width])
    let x = (length === 1 ? start : concatenate([start, embedded], 1)).add(this.positions())
    for (const block of this.blocks) x = this.configuration.recompute ? recomputed(block, x) : block.forward(x)
    return this.output.forward(this.finalNorm.forward(x))
  }

  /**
   * Logits of one element from the one before it and a cache of all others: what `SparseTransformerDecoder` runs.
   *
   * @param previous `[batch]`, i32; any value for the first element
   * @param position of the element, i32 scalar
   * @param layers caches, one for each block, `[batch, heads, length, keyWidth]` and `[batch, heads, length, width / heads]`; new tensors are assigned onto them
   * @returns `[batch, vocabulary]`
   */
  next(previous: Tensor, position: Tensor, layers: readonly LayerCache[]): Tensor {
    const embedded = this.tokenEmbedding.forward(previous.unsqueeze(1)) // [batch, 1, width]
    const isFirst = position.equal(0).reshape([1, 1, 1]).expand(embedded.shape)
    let x = where(isFirst, this.start.expand(embedded.shape), embedded).add(this.positions(position.reshape([1])))
    this.blocks.forEach((block, layer) => {
      x = block.forward(x, position, layers[layer])
    })
    return this.output.forward(this.finalNorm.forward(x)).squeeze(1)
  }

  /** Mean loss of all elements, in nats. */
  loss(elements: Tensor): Tensor {
    return crossEntropy(this.forward(elements), elements)
  }

  /** The sum of the position embeddings at places, all by default: `[places, width]`. */
  positions(places: Tensor = range(this.configuration.length)): Tensor {
    let sum = zeros([places.size, this.configuration.width])
    const extents = this.positionEmbeddings.map(({ weight }) => weight.shape[0]!)
    let inner = extents.reduce((all, extent) => all * extent, 1)
    this.positionEmbeddings.forEach((embedding, axis) => {
      inner /= extents[axis]!
      sum = sum.add(embedding.forward(places.divideTruncated(inner).remainder(extents[axis]!)))
    })
    return sum
  }
}
