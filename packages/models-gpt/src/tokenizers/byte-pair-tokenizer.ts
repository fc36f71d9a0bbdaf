import { type BytePairVocabulary, type CompiledVocabulary, compileVocabulary } from './byte-pair-vocabulary.ts'
import { bytesToVisible } from './byte-unicode.ts'
import { CounterRandom } from './counter-random.ts'
import { IdBuffer } from './id-buffer.ts'
import { forEachPreToken } from './pre-tokenizer.ts'
import { invalidId, shown, type Tokenizer, TokenizerError, tokenizerFormat, tokenizerVersion } from './tokenizer.ts'
import { decodeUtf8, detachedCopy, encodeUtf8, utf8CharacterLength } from './utf8.ts'

/** How one text is encoded. */
export interface BytePairEncodeOptions {
  /**
   * The special tokens that are recognised in the text, by their spelling, or all. By default none: their spelling is
   * encoded as ordinary text, so that untrusted text cannot inject a token.
   */
  readonly allowedSpecialTokens?: 'all' | readonly string[]
  /**
   * BPE-dropout (Provilkov et al. 2020, https://arxiv.org/abs/1910.13267): each merge is left out with this
   * probability, as regularisation of the training text. 0 changes nothing, 1 gives single bytes.
   */
  readonly dropout?: { readonly probability: number; readonly seed: number }
}

/** The JSON of a byte-pair tokenizer. */
export interface BytePairTokenizerJson {
  readonly format: typeof tokenizerFormat
  readonly version: typeof tokenizerVersion
  readonly kind: 'byte-pair'
  readonly name: string
  /** GPT-2's visible spelling of the bytes of each token by id; null where the id belongs to a special token. */
  readonly tokens: readonly (string | null)[]
  readonly merges: readonly (readonly [left: number, right: number])[]
  readonly longestWhitespaceRun: number
  readonly specialTokens: readonly (readonly [text: string, id: number])[]
}

/** How many words each of the two generations of the cache holds, and how long a cached word may be. */
const cachedWords = 1 << 15
const longestCachedWord = 64

/**
 * Byte-level byte-pair encoding exactly as in GPT-2 (Radford et al. 2019, section 2.2): the text is cut into words
 * by a fixed pattern, and within the UTF-8 bytes of each word pairs of tokens are joined in a learned order.
 * Every string and every sequence of bytes comes back unchanged.
 *
 * @example
 * ```ts sketch
 * const tokenizer = bytePairTokenizerFromGpt2Files({ vocabulary: vocabJson, merges: mergesText })
 * tokenizer.encode('Hello world') // Int32Array [15496, 995]
 * ```
 */
export class BytePairTokenizer implements Tokenizer {
  readonly name: string
  readonly vocabularySize: number
  /** What defines this tokenizer. */
  readonly vocabulary: BytePairVocabulary
  readonly #compiled: CompiledVocabulary
  readonly #specialBytes: ReadonlyMap<number, Uint8Array>
  /** The ids of words met lately. When one generation is full, it becomes the old one and the old one goes. */
  #recentWords = new Map<string, Int32Array>()
  #olderWords = new Map<string, Int32Array>()

  /** @throws TokenizerError for a vocabulary that is inconsistent; `compileVocabulary` lists the checks */
  constructor(vocabulary: BytePairVocabulary) {
    this.#compiled = compileVocabulary(vocabulary)
    this.name = vocabulary.name
    this.vocabulary = vocabulary
    this.vocabularySize = this.#compiled.size
    this.#specialBytes = new Map([...vocabulary.specialTokens].map(([text, id]) => [id, encodeUtf8(text)]))
  }

  /** @throws TokenizerError for an unknown special token a dropout probability outside 0 to 1, or a seed that is no counter */
  encode(text: string, options: BytePairEncodeOptions = {}): Int32Array {
    const ids = new IdBuffer(text.length >> 1)
    const isDropped = dropoutOf(options)
    const special = this.#specialPattern(options.allowedSpecialTokens ?? [])
    let start = 0
    for (const match of special ? text.matchAll(special) : []) {
      this.#encodeOrdinary(text.slice(start, match.index), ids, isDropped)
      ids.push(this.vocabulary.specialTokens.get(match[0])!)
      start = match.index + match[0].length
    }
    this.#encodeOrdinary(start === 0 ? text : text.slice(start), ids, isDropped)
    return ids.toArray()
  }

  /**
   * Encodes bytes that need not be text. Well-formed UTF-8 in them becomes the same tokens as by `encode`; bytes
   * in between are words of their own.
   */
  encodeBytes(bytes: Uint8Array, options: Pick<BytePairEncodeOptions, 'dropout'> = {}): Int32Array {
    const ids = new IdBuffer(bytes.length >> 1)
    const isDropped = dropoutOf(options)
    for (let start = 0; start < bytes.length; ) {
      const isText = utf8CharacterLength(bytes, start) > 0
      let end = start
      for (; end < bytes.length; ) {
        const length = utf8CharacterLength(bytes, end)
        if (length > 0 !== isText) break
        end += isText ? length : 1
      }
      const part = bytes.subarray(start, end)
      if (isText) this.#encodeOrdinary(decodeUtf8(part), ids, isDropped)
      else ids.append(this.#mergeBytes(part, isDropped))
      start = end
    }
    return ids.toArray()
  }

  /** The text of the tokens; bytes that are no UTF-8, such as part of a character, become U+FFFD. */
  decode(ids: ArrayLike<number>): string {
    return decodeUtf8(this.decodeBytes(ids))
  }

  /**
   * The bytes of the tokens, exactly. While a model writes, `new TextDecoder().decode(bytes, { stream: true })` on the
   * bytes of each new token prints whole characters only.
   *
   * @throws TokenizerError for an id that is not in the vocabulary
   */
  decodeBytes(ids: ArrayLike<number>): Uint8Array<ArrayBuffer> {
    let length = 0
    for (let position = 0; position < ids.length; position++) {
      const bytes = this.#bytesOf(ids[position]!)
      if (!bytes) throw invalidId(this.name, ids[position], position, this.vocabularySize)
      length += bytes.length
    }
    const all = new Uint8Array(length)
    let filled = 0
    for (let position = 0; position < ids.length; position++) {
      const bytes = this.#bytesOf(ids[position]!)!
      all.set(bytes, filled)
      filled += bytes.length
    }
    return all
  }

  /**
   * This tokenizer with a token for each run of 2 to `longest` spaces, appended to the vocabulary where it has none: what
   * Codex added for code (Chen et al. 2021, section 3.2; its vocabulary has runs up to 25).
   */
  withWhitespaceRuns(longest: number): BytePairTokenizer {
    const { tokens, ...rest } = this.vocabulary
    const extended = Array.from({ length: this.vocabularySize }, (_, id) => tokens[id])
    const known = new Set(extended.map((bytes) => bytes && bytesToVisible(bytes)))
    for (let length = 2; length <= longest; length++) {
      const run = new Uint8Array(length).fill(0x20)
      if (!known.has(bytesToVisible(run))) extended.push(run)
    }
    return new BytePairTokenizer({ ...rest, tokens: extended, longestWhitespaceRun: longest })
  }

  toJSON(): BytePairTokenizerJson {
    const { tokens, merges, longestWhitespaceRun = 0, specialTokens } = this.vocabulary
    return {
      format: tokenizerFormat,
      version: tokenizerVersion,
      kind: 'byte-pair',
      name: this.name,
      tokens: Array.from({ length: this.vocabularySize }, (_, id) => {
        const bytes = tokens[id]
        return bytes ? bytesToVisible(bytes) : null
      }),
      merges,
      longestWhitespaceRun,
      specialTokens: [...specialTokens],
    }
  }

  #bytesOf(id: number): Uint8Array | undefined {
    return this.vocabulary.tokens[id] ?? this.#specialBytes.get(id)
  }

  #encodeOrdinary(text: string, ids: IdBuffer, isDropped: (() => boolean) | undefined): void {
    forEachPreToken(text, (word) => {
      ids.append(isDropped ? this.#mergeBytes(encodeUtf8(word), isDropped) : this.#encodeWord(word))
    })
  }

  #encodeWord(word: string): Int32Array {
    const cached = this.#recentWords.get(word) ?? this.#olderWords.get(word)
    if (cached) return cached
    const ids = this.#mergeBytes(encodeUtf8(word))
    if (word.length <= longestCachedWord) {
      if (this.#recentWords.size === cachedWords) {
        this.#olderWords = this.#recentWords
        this.#recentWords = new Map()
      }
      this.#recentWords.set(detachedCopy(word), ids)
    }
    return ids
  }

  #mergeBytes(bytes: Uint8Array, isDropped?: () => boolean): Int32Array {
    const { idOfByte, rules } = this.#compiled
    const symbols = new Int32Array(bytes.length)
    for (let index = 0; index < bytes.length; index++) symbols[index] = idOfByte[bytes[index]!]!
    return symbols.slice(0, rules.apply(symbols, symbols.length, isDropped))
  }

  /** A pattern that matches the allowed special tokens, the longest first, or undefined when there is none. */
  #specialPattern(allowed: 'all' | readonly string[]): RegExp | undefined {
    const known = this.vocabulary.specialTokens
    const texts = allowed === 'all' ? [...known.keys()] : [...allowed]
    for (const text of texts) {
      if (!known.has(text)) {
        throw new TokenizerError(
          'TOKENIZER_INVALID_OPTION',
          `${this.name}: ${shown(text)} is not a special token of this vocabulary; it has ${shown([...known.keys()])}.`,
        )
      }
    }
    if (texts.length === 0) return undefined
    const alternatives = texts
      .sort((a, b) => b.length - a.length)
      .map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    return new RegExp(alternatives.join('|'), 'g')
  }
}

function dropoutOf({ dropout }: BytePairEncodeOptions): (() => boolean) | undefined {
  if (!dropout) return undefined
  const { probability, seed } = dropout
  if (!(probability >= 0 && probability <= 1)) {
    throw new TokenizerError(
      'TOKENIZER_INVALID_OPTION',
      `byte-pair tokenizer: the dropout probability must be from 0 to 1, not ${shown(probability)}.`,
    )
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new TokenizerError(
      'TOKENIZER_INVALID_OPTION',
      `byte-pair tokenizer: the dropout seed must be an integer from 0 to 2^53 - 1, not ${shown(seed)}.`,
    )
  }
  const random = new CounterRandom(seed)
  return probability === 0 ? undefined : () => random.nextFraction() < probability
}
