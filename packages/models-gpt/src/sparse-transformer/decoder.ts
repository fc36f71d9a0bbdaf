import { type Jitted, jit, type Tensor, TesseraError, tensor, zeros } from '@tessera/core'
import { checkTokens } from '../generation/decoder.ts'
import { uniformAt } from '../generation/generate.ts'
import { checkSamplingOptions, type SamplingOptions, sampleToken } from '../generation/sampling.ts'
import type { LayerCache } from '../gpt/model.ts'
import type { SparseTransformer } from './model.ts'

interface DecoderState {
  readonly layers: readonly LayerCache[]
}

type Step = Jitted<[model: SparseTransformer, state: DecoderState, previous: Tensor, position: Tensor], Tensor>

/**
 * Runs a Sparse Transformer over growing sequences, all of one length. Keys and values stay in a cache that one compiled program updates in place,
 * and an element reads those that its layer's pattern shows, so that it costs about √n.
 *
 * @example
 * ```ts
 * import { randomKey } from '@tessera/core'
 * import { SparseTransformer, SparseTransformerDecoder, sparseTransformerPreset } from '@tessera/models-gpt'
 * const model = new SparseTransformer(sparseTransformerPreset('image-small', { layers: 1 }), randomKey(0))
 * const decoder = new SparseTransformerDecoder(model)
 * const [first] = await decoder.begin()
 * const [second] = await decoder.append([17])
 * console.log(first?.length, second?.length) // 256 256
 * decoder.dispose()
 * ```
 */
export class SparseTransformerDecoder {
  readonly #model: SparseTransformer
  readonly #batch: number
  readonly #state: DecoderState
  readonly #step: Step
  #begun = 0

  /** @param batch number of sequences */
  constructor(model: SparseTransformer, batch = 1) {
    if (!Number.isInteger(batch) || batch < 1)
      fail(`the number of sequences must be a whole number from 1 up, got ${batch}.`)
    const { layers, heads, length, keyWidth, width } = model.configuration
    this.#model = model
    this.#batch = batch
    this.#state = {
      layers: Array.from({ length: layers }, () => ({
        keys: zeros([batch, heads, length, keyWidth]),
        values: zeros([batch, heads, length, width / heads]),
      })),
    }
    this.#step = jit(
      (model: SparseTransformer, { layers }: DecoderState, previous: Tensor, position: Tensor) =>
        model.next(previous, position, layers),
      { name: 'sparse-transformer-decode' },
    )
  }

  /** Elements of each sequence so far. */
  get length(): number {
    return Math.max(0, this.#begun - 1)
  }

  /**
   * Logits of the first element, from nothing.
   *
   * @returns `[batch][vocabulary]`
   */
  begin(): Promise<Float32Array[]> {
    if (this.#begun > 0) fail('begin comes once, before the first element. Make another decoder for other sequences.')
    return this.#run(new Int32Array(this.#batch))
  }

  /**
   * Adds an element to each sequence.
   *
   * @param elements `[batch]`
   * @returns logits of the next one, `[batch][vocabulary]`
   * @throws TesseraError `TOKEN_OUT_OF_RANGE` for an element outside of the vocabulary, `GENERATION` when the sequences are full
   */
  async append(elements: ArrayLike<number>): Promise<Float32Array[]> {
    const { length, vocabularySize } = this.#model.configuration
    if (this.#begun === 0) await this.begin()
    if (this.#begun === length)
      fail(`the model knows ${length} positions, and ${length - 1} elements before the last one are there already.`)
    if (elements.length !== this.#batch)
      fail(`takes one element for each of ${this.#batch} sequences, got ${elements.length}.`)
    checkTokens(elements, vocabularySize)
    return this.#run(Int32Array.from(elements))
  }

  /** Frees the cache. The decoder cannot be used afterwards. */
  dispose(): void {
    for (const { keys, values } of this.#state.layers) {
      keys.dispose()
      values.dispose()
    }
  }

  async #run(previous: Int32Array): Promise<Float32Array[]> {
    const model = this.#model
    const { training } = model
    if (training) model.eval()
    const inputs = [tensor(previous, [this.#batch]), tensor(Int32Array.of(this.#begun), [])] as const
    const logits = this.#step(model, this.#state, ...inputs)
    this.#begun++
    if (training) model.train()
    const values = (await logits.data()) as Float32Array
    for (const used of [...inputs, logits]) used.dispose()
    const size = model.configuration.vocabularySize
    return Array.from({ length: this.#batch }, (_, row) => values.subarray(row * size, (row + 1) * size))
  }
}

export interface GenerateSequencesOptions extends SamplingOptions {
  /** Sequences to make at once; 1 by default. Sequence `i` does not depend on how many others there are. */
  readonly samples?: number
  /** Elements of each; as many as the model knows by default. */
  readonly length?: number
  /** Integer from 0 to 2^53 − 1; 0 by default. The same seed gives the same sequences. */
  readonly seed?: number
  /** Told the number of elements made so far, of each sequence. */
  readonly onProgress?: (made: number) => void
}

/**
 * Draws sequences from a model, with nothing given: texts as bytes, images as pixels, sound as samples.
 *
 * @returns `[samples][length]`
 * @throws TesseraError for options out of range, or a model whose logits are not finite
 *
 * @example
 * ```ts
 * import { randomKey } from '@tessera/core'
 * import { generateSequences, SparseTransformer, sparseTransformerPreset } from '@tessera/models-gpt'
 * const model = new SparseTransformer(sparseTransformerPreset('image-small', { layers: 1 }), randomKey(0))
 * const [pixels] = await generateSequences(model, { length: 5, seed: 1 })
 * console.log(pixels?.length) // 5
 * ```
 */
export async function generateSequences(
  model: SparseTransformer,
  options: GenerateSequencesOptions = {},
): Promise<Int32Array[]> {
  const longest = model.configuration.length
  const { samples = 1, length = longest, seed = 0, onProgress } = options
  checkSamplingOptions(options)
  if (!Number.isInteger(length) || length < 1 || length > longest)
    fail(`length must be a whole number from 1 to the model's ${longest}, got ${length}.`)
  if (!Number.isSafeInteger(seed) || seed < 0) fail(`the seed must be an integer from 0 to 2^53 − 1, got ${seed}.`)
  const decoder = new SparseTransformerDecoder(model, samples)
  const sequences = Array.from({ length: samples }, () => new Int32Array(length))
  try {
    let logits = await decoder.begin()
    for (let place = 0; ; place++) {
      const chosen = logits.map((row, sample) => sampleToken(row, options, uniformAt(seed, sample, place)))
      sequences.forEach((sequence, sample) => {
        sequence[place] = chosen[sample]!
      })
      onProgress?.(place + 1)
      if (place + 1 === length) return sequences
      logits = await decoder.append(chosen)
    }
  } finally {
    decoder.dispose()
  }
}

function fail(reason: string): never {
  throw new TesseraError('GENERATION', `SparseTransformer: ${reason}`)
}
