import { type Jitted, jit, type Tensor, TesseraError, tensor, zeros } from '@tessera/core'
import type { Gpt, LayerCache } from '../gpt/model.ts'

/** What the compiled program keeps from call to call. */
interface DecoderState {
  readonly layers: readonly LayerCache[]
}

type Step = Jitted<[model: Gpt, state: DecoderState, tokens: Tensor, position: Tensor, last: Tensor], Tensor>

/** Lengths of the pieces in which text is read: each is a program of its own, compiled when first needed. */
const pieceLengths = [1, 16, 128, 512]

/**
 * Runs a model over growing texts, all of one length. Keys and values of earlier positions are kept in a cache of fixed
 * size that compiled programs update in place: a new token costs the work of one position, and nothing is compiled as the
 * text grows.
 *
 * When the block is full, the cache is filled anew with the last half block of the text, which is then all that the model
 * sees; that happens once every half block. (Dropping one token at a time would mean to read a whole block for each,
 * because positions are absolute.)
 *
 * @example
 * ```ts
 * import { randomKey } from '@tessera/core'
 * import { Gpt, GptDecoder, gptConfiguration } from '@tessera/models-gpt'
 * const configuration = gptConfiguration({ layers: 1, heads: 2, width: 16, blockSize: 8, vocabularySize: 10 })
 * const decoder = new GptDecoder(new Gpt(configuration, randomKey(0)))
 * const [logits] = await decoder.append([[1, 2, 3]])
 * console.log(logits?.length) // 10
 * decoder.dispose()
 * ```
 */
export class GptDecoder {
  readonly #model: Gpt
  readonly #texts: number[][]
  readonly #lengths: readonly number[]
  readonly #step: Step
  readonly #state: DecoderState
  /** Positions of the cache that are filled. */
  #filled = 0

  /** @param batch number of texts */
  constructor(model: Gpt, batch = 1) {
    if (!Number.isInteger(batch) || batch < 1) {
      throw new TesseraError(
        'GENERATION',
        `GptDecoder: the number of texts must be a whole number from 1 up, got ${batch}.`,
      )
    }
    const { layers, heads, blockSize, headWidth } = model.configuration
    const empty = () => zeros([batch, heads, blockSize, headWidth])
    this.#model = model
    this.#texts = Array.from({ length: batch }, () => [])
    this.#lengths = [...new Set(pieceLengths.map((length) => Math.min(length, blockSize)))]
    this.#state = { layers: Array.from({ length: layers }, () => ({ keys: empty(), values: empty() })) }
    this.#step = jit(readPiece, { name: 'gpt-decode' })
  }

  /** Programs compiled so far: at most one for each length of a piece. */
  get compilations(): number {
    return this.#step.compilations
  }

  /** Tokens of each text so far. */
  get length(): number {
    return this.#texts[0]!.length
  }

  /**
   * Reads more of each text: one token at least, and as many for one as for the others.
   *
   * @param tokens `[batch][count]`
   * @returns logits of the token that follows each text, `[batch][vocabulary]`
   * @throws TesseraError `TOKEN_OUT_OF_RANGE` for a token that is not in the vocabulary
   */
  async append(tokens: readonly ArrayLike<number>[]): Promise<Float32Array[]> {
    const count = this.#check(tokens)
    const { blockSize } = this.#model.configuration
    this.#texts.forEach((text, row) => {
      text.push(...Array.from(tokens[row]!))
    })
    let unread = count
    if (this.#filled + count > blockSize) {
      this.#filled = 0
      unread = Math.ceil(blockSize / 2)
    }
    return this.#read(unread)
  }

  /** Frees the cache. The decoder cannot be used afterwards. */
  dispose(): void {
    for (const { keys, values } of this.#state.layers) {
      keys.dispose()
      values.dispose()
    }
  }

  /** Reads the last `unread` tokens of each text, in pieces. */
  async #read(unread: number): Promise<Float32Array[]> {
    const { training } = this.#model
    if (training) this.#model.eval()
    const passing: Tensor[] = []
    let logits: Tensor | undefined
    while (unread > 0) {
      const start = this.length - unread
      const length = this.#lengths.find((length) => length >= unread) ?? this.#lengths.at(-1)!
      const count = Math.min(length, unread)
      // What a piece lacks is filled with token 0. It lies after the text, so no token sees it before it is overwritten.
      const piece = this.#texts.flatMap((text) => Array.from({ length }, (_, i) => text[start + i] ?? 0))
      const inputs = [
        tensor(Int32Array.from(piece), [this.#texts.length, length]),
        tensor(Int32Array.of(this.#filled), []),
        tensor(Int32Array.of(count - 1), []),
      ] as const
      logits = this.#step(this.#model, this.#state, ...inputs)
      passing.push(...inputs, logits)
      this.#filled += count
      unread -= count
    }
    if (training) this.#model.train()
    const values = (await logits!.data()) as Float32Array
    for (const tensor of passing) tensor.dispose()
    const { vocabularySize } = this.#model.configuration
    return this.#texts.map((_, row) => values.subarray(row * vocabularySize, (row + 1) * vocabularySize))
  }

  #check(tokens: readonly ArrayLike<number>[]): number {
    const count = tokens[0]?.length ?? 0
    if (tokens.length !== this.#texts.length || count === 0 || tokens.some(({ length }) => length !== count)) {
      throw new TesseraError(
        'GENERATION',
        `GptDecoder: takes the same number of tokens, one at least, for each of ${this.#texts.length} texts, ` +
          `got [${tokens.map(({ length }) => length).join(', ')}].`,
      )
    }
    for (const row of tokens) checkTokens(row, this.#model.configuration.vocabularySize)
    return count
  }
}

/** One piece of text through the model, in `jit`. */
function readPiece(model: Gpt, state: DecoderState, tokens: Tensor, position: Tensor, last: Tensor): Tensor {
  const hidden = model.hidden(tokens, { position, layers: state.layers }) // [batch, time, width]
  return model.logits(hidden.gather(last, 1))
}

/**
 * Refuses tokens that are not in a vocabulary: a compiled program cannot.
 *
 * @throws TesseraError `TOKEN_OUT_OF_RANGE`
 */
export function checkTokens(tokens: ArrayLike<number>, vocabularySize: number): void {
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!
    if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
      throw new TesseraError(
        'TOKEN_OUT_OF_RANGE',
        `Token ${token} at position ${i} is not in the model's vocabulary of ${vocabularySize} (0 to ${vocabularySize - 1}). ` +
          'Encode the text with the tokenizer that the model was trained with.',
      )
    }
  }
}
