import { TesseraError } from '@tessera/core'
import type { Gpt } from '../gpt/model.ts'
import { quantizeGpt, type WeightFormat, weightFormats } from '../gpt/quantize.ts'
import { CounterRandom } from '../tokenizers/counter-random.ts'
import type { Tokenizer } from '../tokenizers/tokenizer.ts'
import { GptDecoder } from './decoder.ts'
import { checkSamplingOptions, type SamplingOptions, sampleToken } from './sampling.ts'
import { TextStream } from './text-stream.ts'

export interface GenerateTokensOptions extends SamplingOptions {
  /** Most tokens to add. */
  readonly tokens: number
  /** Texts to make at once; 1 by default. Text `i` does not depend on how many others there are. */
  readonly samples?: number
  /** Integer from 0 to 2^53 − 1; 0 by default. The same seed gives the same texts. */
  readonly seed?: number
  /** Only tokens below this number are chosen: for models whose vocabulary is padded beyond the tokenizer's. */
  readonly vocabularySize?: number
  /**
   * `f16`, `bf16`, `int8` and `int4` round the weights before the first token, see `quantizeGpt`; `f32`, the default, takes them as they are. For
   * several texts, round once with `quantizeGpt` and hand that model over.
   */
  readonly weights?: WeightFormat
}

export interface GenerateOptions extends GenerateTokensOptions {
  /** A text ends before any of these strings, which is left out. */
  readonly stop?: readonly string[]
  /** A text ends before this token, for example `<|endoftext|>`. */
  readonly endToken?: number
}

/** What one step adds to one text. */
export interface GeneratedPiece {
  /** Which text, from 0. */
  readonly sample: number
  readonly token: number
  /**
   * Text that has become certain: empty while a character is incomplete or a stop string may be coming. All pieces of a
   * sample together are its text.
   */
  readonly text: string
  /** On the last piece of a sample, why it is the last: all tokens were made, a stop string came, or the end token. */
  readonly finished?: 'length' | 'stop' | 'end'
}

/**
 * Continues a text token by token.
 *
 * @param prompt tokens, one at least; what lies more than a block back is not seen
 * @returns at each step the next token of every sample, `[samples]`
 */
export async function* generateTokens(
  model: Gpt,
  prompt: ArrayLike<number>,
  options: GenerateTokensOptions,
): AsyncGenerator<Int32Array, void, undefined> {
  const { tokens, samples = 1, seed = 0, vocabularySize, weights = 'f32' } = options
  checkOptions(options)
  if (prompt.length === 0) {
    throw new TesseraError(
      'GENERATION',
      'generate: the prompt is empty. Give one token at least, for example that of a line break.',
    )
  }
  const decoder = new GptDecoder(weights === 'f32' ? model : quantizeGpt(model, weights), samples)
  try {
    let next: readonly ArrayLike<number>[] = Array.from({ length: samples }, () => prompt)
    for (let position = 0; position < tokens; position++) {
      const logits = await decoder.append(next)
      const chosen = Int32Array.from(logits, (row, sample) =>
        sampleToken(row.subarray(0, vocabularySize), options, uniformAt(seed, sample, position)),
      )
      yield chosen
      next = Array.from(chosen, (token) => [token])
    }
  } finally {
    decoder.dispose()
  }
}

/**
 * Continues a text, and hands on the new text as it comes.
 *
 * @throws TesseraError for options out of range, an empty prompt, or a model whose logits are not finite
 * @example
 * ```ts
 * const tokenizer = CharacterTokenizer.fromText('to be or not to be')
 * const { vocabularySize } = tokenizer
 * const sizes = gptConfiguration({ layers: 1, heads: 1, width: 8, blockSize: 8, vocabularySize })
 * const model = new Gpt(sizes, randomKey(0))
 * const options = { tokens: 10, temperature: 0.8, topK: 5, seed: 7 }
 * for await (const { text } of generate(model, tokenizer, 'to', options)) console.log(text)
 * ```
 */
export async function* generate(
  model: Gpt,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions,
): AsyncGenerator<GeneratedPiece, void, undefined> {
  const { tokens, samples = 1, stop = [], endToken } = options
  checkOptions(options)
  if (tokenizer.vocabularySize > model.configuration.vocabularySize) {
    throw new TesseraError(
      'GENERATION',
      `generate: the tokenizer ${tokenizer.name} has ${tokenizer.vocabularySize} tokens, the model ${model.configuration.vocabularySize}. ` +
        'Take the tokenizer that the model was trained with.',
    )
  }
  const streams = Array.from({ length: samples }, () => new TextStream(tokenizer, stop))
  const running = new Set(streams.keys())
  let made = 0
  const { vocabularySize } = tokenizer
  for await (const chosen of generateTokens(model, tokenizer.encode(prompt), { vocabularySize, ...options })) {
    made++
    for (const sample of running) {
      const piece = advance(streams[sample]!, sample, chosen[sample]!, endToken, made === tokens)
      if (piece.finished) running.delete(sample)
      yield piece
    }
    if (running.size === 0) return
  }
}

/**
 * Continues a text and gives all of it.
 *
 * @returns the new text of each sample
 */
export async function generateText(
  model: Gpt,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions,
): Promise<string[]> {
  const texts = new Array<string>(options.samples ?? 1).fill('')
  for await (const { sample, text } of generate(model, tokenizer, prompt, options)) texts[sample] += text
  return texts
}

function advance(
  stream: TextStream,
  sample: number,
  token: number,
  endToken: number | undefined,
  last: boolean,
): GeneratedPiece {
  if (token === endToken) return { sample, token, text: stream.end(), finished: 'end' }
  const text = stream.push(token)
  if (stream.stopped) return { sample, token, text, finished: 'stop' }
  if (!last) return { sample, token, text }
  const rest = stream.end()
  return { sample, token, text: text + rest, finished: stream.stopped ? 'stop' : 'length' }
}

/** A number on [0, 1) that depends on the seed, the sample and the place in its text alone. */
export function uniformAt(seed: number, sample: number, position: number): number {
  return new CounterRandom(seed, sample * 2 ** 32 + position).nextFraction()
}

function checkOptions(options: GenerateTokensOptions): void {
  const { tokens, samples = 1, seed = 0, weights = 'f32' } = options
  checkSamplingOptions(options)
  const fail = (what: string): never => {
    throw new TesseraError('GENERATION', `generate: ${what}`)
  }
  if (!Number.isInteger(tokens) || tokens < 1) fail(`tokens must be a whole number from 1 up, got ${tokens}.`)
  if (!Number.isInteger(samples) || samples < 1) fail(`samples must be a whole number from 1 up, got ${samples}.`)
  if (!Object.hasOwn(weightFormats, weights))
    fail(`weights must be one of ${Object.keys(weightFormats).join(', ')}, got '${weights}'.`)
  if (!Number.isSafeInteger(seed) || seed < 0) fail(`the seed must be an integer from 0 to 2^53 − 1, got ${seed}.`)
}
