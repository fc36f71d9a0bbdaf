import { attention, range, splitKey, type Tensor, TesseraError, where, zeros } from '@tessera/core'
import type { Initializer } from '../initializers/initializers.ts'
import { checkExtents } from './check.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import type { RotaryPositions } from './positions.ts'
import { RmsNorm } from './rms-norm.ts'

/** Keys and values of the positions so far, each `[batch, keyValueHeads, length, headWidth]`. */
export interface KeyValueCache {
  keys: Tensor
  values: Tensor
}

export interface AttentionLayerOptions {
  /** Random key of the first weights. */
  readonly key: Tensor
  /** Whether a position sees only itself and those before it. */
  readonly causal?: boolean
  /** Whether the projections have biases; true by default. */
  readonly bias?: boolean
  /** Channels of the input that keys and values are made of; by default those of the queries' input. */
  readonly contextWidth?: number
  /** Channels of one head; by default `width / heads`. */
  readonly headWidth?: number
  /** Heads of keys and values, each of which serves `heads / keyValueHeads` heads of queries (Ainslie et al. 2023); by default `heads`. */
  readonly keyValueHeads?: number
  /** Turns queries and keys by their positions. */
  readonly rotary?: RotaryPositions
  /** Divides queries and keys by their root mean square, with learned gains (Dehghani et al. 2023, section 2). */
  readonly normalized?: boolean
  /** First weights of the projections; by default those of `Linear`. */
  readonly initializer?: Initializer
}

export interface AttentionCallOptions {
  /** What is attended to, `[batch, contextTime, contextWidth]`; by default the input itself. */
  readonly context?: Tensor
  /**
   * Where false, a query does not see a key: bool, broadcasts to `[batch, heads, time, contextTime]`. A query that sees nothing gives 0 before the
   * last projection. Attention with a mask computes the whole matrix of weights.
   */
  readonly mask?: Tensor
  /** Takes the keys and values of the input, which are assigned onto it, and gives those of all positions so far. */
  readonly cache?: KeyValueCache
  /** Position of the input's first element, an i32 scalar; needed with a cache. */
  readonly position?: Tensor
}

/**
 * Attention with several heads (Vaswani et al. 2017, section 3.2.2), of an input to itself or to a context.
 *
 * @example
 * ```ts
 * import { randomKey, randomNormal } from '@tessera/core'
 * import { MultiHeadAttention, RotaryPositions } from '@tessera/nn'
 * const rotary = new RotaryPositions(16)
 * const layer = new MultiHeadAttention(64, 4, { key: randomKey(0), causal: true, rotary, keyValueHeads: 2 })
 * console.log(layer.forward(randomNormal(randomKey(1), [2, 10, 64])).shape) // [2, 10, 64]
 * ```
 */
export class MultiHeadAttention extends Module {
  readonly heads: number
  readonly keyValueHeads: number
  readonly headWidth: number
  readonly causal: boolean
  readonly query: Linear
  readonly keys: Linear
  readonly values: Linear
  readonly output: Linear
  readonly rotary: RotaryPositions | undefined
  readonly queryNorm: RmsNorm | undefined
  readonly keyNorm: RmsNorm | undefined

  constructor(width: number, heads: number, options: AttentionLayerOptions) {
    super()
    const {
      causal = false,
      bias = true,
      contextWidth = width,
      headWidth = width / heads,
      keyValueHeads = heads,
    } = options
    checkExtents('MultiHeadAttention', { width, heads, contextWidth, headWidth, keyValueHeads })
    if (heads % keyValueHeads !== 0) {
      throw new TesseraError(
        'MODULE_CONFIGURATION',
        `MultiHeadAttention: ${keyValueHeads} heads of keys and values must divide the ${heads} heads.`,
      )
    }
    if (options.rotary && options.rotary.channels !== headWidth) {
      throw new TesseraError(
        'MODULE_CONFIGURATION',
        `MultiHeadAttention: rotary positions have ${options.rotary.channels} channels, heads have ${headWidth}.`,
      )
    }
    this.heads = heads
    this.keyValueHeads = keyValueHeads
    this.headWidth = headWidth
    this.causal = causal
    const [first, second, third, fourth] = splitKey(options.key, 4) as [Tensor, Tensor, Tensor, Tensor]
    const shared = { bias, ...(options.initializer && { initializer: options.initializer }) }
    this.query = new Linear(width, heads * headWidth, { key: first, ...shared })
    this.keys = new Linear(contextWidth, keyValueHeads * headWidth, { key: second, ...shared })
    this.values = new Linear(contextWidth, keyValueHeads * headWidth, { key: third, ...shared })
    this.output = new Linear(heads * headWidth, width, { key: fourth, ...shared })
    this.rotary = options.rotary
    this.queryNorm = options.normalized ? new RmsNorm(headWidth) : undefined
    this.keyNorm = options.normalized ? new RmsNorm(headWidth) : undefined
  }

  /** An empty cache for texts of up to `length` positions. */
  cache(batch: number, length: number): KeyValueCache {
    const empty = () => zeros([batch, this.keyValueHeads, length, this.headWidth], this.keys.weight.dtype)
    return { keys: empty(), values: empty() }
  }

  /**
   * @param x `[batch, time, width]`
   * @returns `[batch, time, width]`
   */
  forward(x: Tensor, options: AttentionCallOptions = {}): Tensor {
    const { context = x, mask, cache, position } = options
    const [batch, time] = x.shape as [number, number]
    if (cache && (!position || !this.causal || context !== x)) {
      throw new TesseraError(
        'MODULE_INPUT',
        'MultiHeadAttention: a cache needs causal attention of an input to itself, and its position: { cache, position }.',
      )
    }
    const query = this.#placed(this.#split(this.query.forward(x), this.heads), this.queryNorm, position)
    const keyPosition = context === x ? position : undefined
    let keys = this.#placed(this.#split(this.keys.forward(context), this.keyValueHeads), this.keyNorm, keyPosition)
    let values = this.#split(this.values.forward(context), this.keyValueHeads)
    if (cache && position) {
      const places = range(time).add(position)
      keys = cache.keys = cache.keys.scatterSet(places, keys, 2)
      values = cache.values = cache.values.scatterSet(places, values, 2)
    }
    const mixed = this.#attend(query, this.#repeat(keys), this.#repeat(values), mask, position)
    return this.output.forward(mixed.transpose([0, 2, 1, 3]).reshape([batch, time, this.heads * this.headWidth]))
  }

  /** `[batch, time, heads · headWidth] → [batch, heads, time, headWidth]` */
  #split(x: Tensor, heads: number): Tensor {
    const [batch, time] = x.shape as [number, number]
    return x.reshape([batch, time, heads, this.headWidth]).transpose([0, 2, 1, 3])
  }

  /** Queries or keys, normalised and turned by their positions. */
  #placed(x: Tensor, norm: RmsNorm | undefined, position: Tensor | undefined): Tensor {
    const normalized = norm?.forward(x) ?? x
    return this.rotary?.forward(normalized, position) ?? normalized
  }

  /** Each head of keys or values for all the heads of queries that it serves. */
  #repeat(x: Tensor): Tensor {
    const times = this.heads / this.keyValueHeads
    if (times === 1) return x
    const [batch, heads, ...rest] = x.shape as [number, number, number, number]
    return x
      .unsqueeze(2)
      .expand([batch, heads, times, ...rest])
      .reshape([batch, this.heads, ...rest])
  }

  #attend(query: Tensor, keys: Tensor, values: Tensor, mask?: Tensor, position?: Tensor): Tensor {
    // Causality also hides the places of a cache that have not been filled.
    if (!mask)
      return attention(query, keys, values, {
        causal: this.causal,
        ...(this.causal && position && { offset: position }),
      })
    const [time, keyTime] = [query.shape[2]!, keys.shape[2]!]
    const first = position ?? keyTime - time
    const visible = this.causal ? mask.and(range(keyTime).lessEqual(range(time).unsqueeze(1).add(first))) : mask
    const isAny = visible.cast('f32').max(-1, { keepDims: true }).greater(0)
    const scores = query.matmul(keys.transpose()).multiply(1 / Math.sqrt(this.headWidth))
    const weights = where(visible.or(isAny.not()), scores, Number.NEGATIVE_INFINITY).softmax()
    return where(isAny, weights, 0).matmul(values)
  }
}
