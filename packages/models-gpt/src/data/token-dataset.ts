import { CounterRandom } from '../tokenizers/counter-random.ts'
import type { Tokenizer } from '../tokenizers/tokenizer.ts'
import { DataError } from './data-error.ts'
import { splitText } from './split.ts'

/** Token ids in memory. 16-bit ids take half the space and hold GPT-2's vocabulary. */
export type TokenIds = Int32Array | Uint32Array | Uint16Array

/** The shape of the batches, and what they are drawn with. */
export interface TokenDatasetOptions {
  /** Sequences in a batch. */
  readonly batchSize: number
  /** Tokens in a sequence: the context of the model. */
  readonly blockSize: number
  /** With the step, all that a random batch depends on. Default 0. */
  readonly seed?: number
  /** What messages call this data set. */
  readonly name?: string
}

/** Sequences and, for each of their tokens, the one that follows it. */
export interface TokenBatch {
  /** [batch, time] */
  readonly shape: readonly [batch: number, time: number]
  /** [batch, time], row-major */
  readonly inputs: Int32Array
  /** [batch, time], row-major; `targets[i]` is the token after `inputs[i]` in the text */
  readonly targets: Int32Array
}

/**
 * Batches of sequences from one long row of tokens. A random batch is a pure function of the seed and the step, so a
 * run that saved `{ seed, step }` resumes with exactly the batches it would have had.
 *
 * @example
 * ```ts
 * const dataset = new TokenDataset(Int32Array.from([0, 1, 2, 3, 4, 5]), { batchSize: 2, blockSize: 3, seed: 1 })
 * const { inputs, targets } = dataset.batch(0) // targets[i] is inputs[i] + 1 here
 * ```
 */
export class TokenDataset {
  readonly tokens: TokenIds
  readonly batchSize: number
  readonly blockSize: number
  readonly seed: number

  /** @throws DataError for sizes that are no positive integers, and for fewer than `blockSize + 1` tokens */
  constructor(tokens: TokenIds, { batchSize, blockSize, seed = 0, name = 'data set' }: TokenDatasetOptions) {
    for (const [what, size] of Object.entries({ batchSize, blockSize })) {
      if (!Number.isSafeInteger(size) || size < 1) {
        throw new DataError('DATASET_INVALID_OPTION', `${name}: ${what} must be an integer from 1 up, not ${size}.`)
      }
    }
    checkCounter(name, 'seed', seed)
    if (tokens.length < blockSize + 1) {
      throw new DataError(
        'DATASET_TOO_SHORT',
        `${name}: there are ${tokens.length} tokens, but a block of ${blockSize} and the token after it need ${blockSize + 1}. ` +
          'Give more text or a smaller block size.',
      )
    }
    this.tokens = tokens
    this.batchSize = batchSize
    this.blockSize = blockSize
    this.seed = seed
  }

  /**
   * The batch of one training step: sequences that begin at places drawn uniformly, with repetition.
   *
   * @param step an integer from 0 up
   */
  batch(step: number): TokenBatch {
    checkCounter('batch', 'step', step)
    const random = new CounterRandom(this.seed, step)
    const places = this.tokens.length - this.blockSize
    return this.#batchAt(Array.from({ length: this.batchSize }, () => Math.floor(random.nextFraction() * places)))
  }

  /** How many sequences `evaluationBatches` goes through; what is left over is shorter than a sequence. */
  get evaluationSequences(): number {
    return Math.floor((this.tokens.length - 1) / this.blockSize)
  }

  /**
   * The whole data set in order, each target once: sequences one after another without overlap. The last batch may have
   * fewer sequences, and up to `blockSize - 1` tokens at the end are left out.
   */
  *evaluationBatches(): Generator<TokenBatch, void, undefined> {
    const sequences = this.evaluationSequences
    for (let first = 0; first < sequences; first += this.batchSize) {
      const rows = Math.min(this.batchSize, sequences - first)
      yield this.#batchAt(Array.from({ length: rows }, (_, row) => (first + row) * this.blockSize))
    }
  }

  #batchAt(starts: readonly number[]): TokenBatch {
    const { tokens, blockSize } = this
    const inputs = new Int32Array(starts.length * blockSize)
    const targets = new Int32Array(starts.length * blockSize)
    starts.forEach((start, row) => {
      inputs.set(tokens.subarray(start, start + blockSize), row * blockSize)
      targets.set(tokens.subarray(start + 1, start + 1 + blockSize), row * blockSize)
    })
    return { shape: [starts.length, blockSize], inputs, targets }
  }
}

/** How a text becomes data sets. */
export interface TextDatasetsOptions extends Omit<TokenDatasetOptions, 'name'> {
  /** The share of the text, at its end, that is held out. Default 0.1, as in nanoGPT. */
  readonly validationFraction?: number
}

/**
 * Splits a text, encodes both parts and makes a data set of each.
 *
 * @throws DataError when a part has fewer tokens than a block needs, TokenizerError when the text cannot be encoded
 * @example
 * ```ts
 * const text = 'to be or not to be '.repeat(20)
 * const tokenizer = CharacterTokenizer.fromText(text)
 * const { training, validation } = textDatasets(text, tokenizer, { batchSize: 4, blockSize: 8 })
 * ```
 */
export function textDatasets(
  text: string,
  tokenizer: Tokenizer,
  { validationFraction = 0.1, ...options }: TextDatasetsOptions,
): { training: TokenDataset; validation: TokenDataset } {
  const parts = splitText(text, validationFraction)
  return {
    training: new TokenDataset(tokenizer.encode(parts.training), { ...options, name: 'training text' }),
    validation: new TokenDataset(tokenizer.encode(parts.validation), {
      ...options,
      name: `validation text (the last ${Math.round(validationFraction * 1000) / 10} %)`,
    }),
  }
}

function checkCounter(name: string, what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new DataError(
      'DATASET_INVALID_OPTION',
      `${name}: the ${what} must be an integer from 0 to 2^53 - 1, not ${value}.`,
    )
  }
}
