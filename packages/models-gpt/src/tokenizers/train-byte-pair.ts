import { BytePairTokenizer } from './byte-pair-tokenizer.ts'
import { maximumVocabularySize } from './byte-pair-vocabulary.ts'
import { byteOrder, bytesToVisible } from './byte-unicode.ts'
import { Heap } from './heap.ts'
import { PairTable } from './pair-table.ts'
import { forEachPreToken } from './pre-tokenizer.ts'
import { shown, TokenizerError } from './tokenizer.ts'
import { concatenate, detachedCopy, encodeUtf8 } from './utf8.ts'

/** How a byte-pair vocabulary is learned. */
export interface TrainBytePairOptions {
  /** All tokens together: 256 bytes, what is learned, and the special tokens. */
  readonly vocabularySize: number
  /** Pairs that occur less often are not joined; then the vocabulary stays smaller. Default 2. */
  readonly minimumFrequency?: number
  /** They take the last ids, in this order, as `<|endoftext|>` does in GPT-2. Default none. */
  readonly specialTokens?: readonly string[]
  readonly name?: string
  /** Called after each token that is learned. */
  readonly onProgress?: (progress: { readonly learned: number; readonly wanted: number }) => void
}

/**
 * Learns a byte-level byte-pair vocabulary (Sennrich et al. 2016, algorithm 1, on the bytes of GPT-2's words): the
 * most frequent pair of neighbouring tokens becomes a token, again and again. Of equally frequent pairs the one with
 * the lower left id wins, then the lower right id, so the result depends on the texts alone. Counts are kept up to
 * date place by place: about n log n for n bytes of distinct words, even when one word is very long.
 *
 * @param texts one text or several; words do not cross their borders
 * @throws TokenizerError for a vocabulary size that cannot hold the bytes and special tokens
 * @example
 * ```ts
 * const tokenizer = trainBytePairTokenizer('low lower lowest', { vocabularySize: 258 })
 * tokenizer.encode('slow').length // 2: "s" and the learned "low"
 * ```
 */
export function trainBytePairTokenizer(
  texts: string | Iterable<string>,
  options: TrainBytePairOptions,
): BytePairTokenizer {
  const { minimumFrequency = 2, specialTokens = [], name = 'byte-pair', onProgress } = options
  const wanted = wantedMerges(options)
  const tokens: Uint8Array[] = Array.from(byteOrder, (byte) => Uint8Array.of(byte))
  const idOfToken = new Map(tokens.map((bytes, id) => [bytesToVisible(bytes), id]))
  const merges: [number, number][] = []
  const ruled = new PairTable()
  const corpus = new PairCorpus(countWords(typeof texts === 'string' ? [texts] : texts))
  for (let learned = 0; learned < wanted; ) {
    const pair = corpus.mostFrequentPair()
    if (!pair || pair.count < minimumFrequency) break
    const bytes = concatenate([tokens[pair.left]!, tokens[pair.right]!])
    const spelling = bytesToVisible(bytes)
    // Two different pairs can spell the same token; it keeps its id.
    const merged = idOfToken.get(spelling) ?? tokens.length
    if (merged === tokens.length) {
      tokens.push(bytes)
      idOfToken.set(spelling, merged)
      learned++
      onProgress?.({ learned, wanted })
    }
    // A pair can come back when another merge spells one of its tokens again; its rule is known then.
    if (ruled.add(pair.left, pair.right) === merges.length) merges.push([pair.left, pair.right])
    corpus.merge(pair.left, pair.right, merged)
  }
  const special = new Map(specialTokens.map((text, index) => [text, tokens.length + index]))
  return new BytePairTokenizer({ name, tokens, merges, specialTokens: special })
}

function wantedMerges({ vocabularySize, minimumFrequency = 2, specialTokens = [] }: TrainBytePairOptions): number {
  const least = 256 + specialTokens.length
  if (!Number.isInteger(vocabularySize) || vocabularySize < least || vocabularySize > maximumVocabularySize) {
    throw new TokenizerError(
      'TOKENIZER_INVALID_OPTION',
      `byte-pair training: vocabularySize is ${shown(vocabularySize)}, but 256 bytes and ${specialTokens.length} special ` +
        `tokens need an integer from ${least} to ${maximumVocabularySize}.`,
    )
  }
  if (!(minimumFrequency >= 1)) {
    throw new TokenizerError(
      'TOKENIZER_INVALID_OPTION',
      `byte-pair training: minimumFrequency must be at least 1, not ${shown(minimumFrequency)}.`,
    )
  }
  if (new Set(specialTokens).size !== specialTokens.length || specialTokens.includes('')) {
    throw new TokenizerError(
      'TOKENIZER_INVALID_OPTION',
      `byte-pair training: the special tokens ${shown(specialTokens)} must be distinct and not empty.`,
    )
  }
  return vocabularySize - least
}

function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) {
    forEachPreToken(text, (word) => {
      const count = counts.get(word)
      if (count === undefined) counts.set(detachedCopy(word), 1)
      else counts.set(word, count + 1)
    })
  }
  return counts
}

interface PairCount {
  readonly left: number
  readonly right: number
  readonly count: number
}

/** The distinct words as one list of tokens, with the count and the places of every pair of neighbours. */
class PairCorpus {
  /** The token at each place, or -1 where it was taken into the one before. */
  readonly #symbols: Int32Array
  /** The neighbouring places within the word, or -1. */
  readonly #next: Int32Array
  readonly #previous: Int32Array
  /** How often the word at each place occurs in the texts. */
  readonly #weights: Float64Array
  readonly #pairs = new PairTable()
  readonly #counts: number[] = []
  /** Where each pair was seen. Places are only added: whether the pair is still there is checked when it is merged. */
  readonly #places: number[][] = []
  /** Counts only fall behind what the queue says, except for the pairs a merge creates, which are queued anew. */
  readonly #queue = new Heap<PairCount>(
    (a, b) =>
      a.count > b.count || (a.count === b.count && (a.left < b.left || (a.left === b.left && a.right < b.right))),
  )

  constructor(words: ReadonlyMap<string, number>) {
    const idOfByte = new Int32Array(256)
    byteOrder.forEach((byte, id) => {
      idOfByte[byte] = id
    })
    const encoded = Array.from(words, ([word, count]) => ({ bytes: encodeUtf8(word), count }))
    const total = encoded.reduce((sum, { bytes }) => sum + bytes.length, 0)
    this.#symbols = new Int32Array(total)
    this.#next = new Int32Array(total).fill(-1)
    this.#previous = new Int32Array(total).fill(-1)
    this.#weights = new Float64Array(total)
    let place = 0
    for (const { bytes, count } of encoded) {
      bytes.forEach((byte, index) => {
        this.#symbols[place] = idOfByte[byte]!
        this.#weights[place] = count
        if (index > 0) {
          this.#previous[place] = place - 1
          this.#next[place - 1] = place
          this.#count(place - 1)
        }
        place++
      })
    }
    for (let pair = 0; pair < this.#pairs.size; pair++) this.#enqueue(pair)
  }

  /** The pair to merge, or undefined when no two tokens are neighbours any more. */
  mostFrequentPair(): PairCount | undefined {
    for (let top = this.#queue.pop(); top; top = this.#queue.pop()) {
      const pair = this.#pairs.find(top.left, top.right)
      if (top.count === this.#counts[pair]) return top
      this.#enqueue(pair)
    }
    return undefined
  }

  /** Replaces the pair by one token everywhere and brings the counts of the pairs around it up to date. */
  merge(left: number, right: number, merged: number): void {
    const pair = this.#pairs.find(left, right)
    const places = this.#places[pair]!
    this.#places[pair] = []
    const changed = new Set<number>()
    // Ascending, so that of three equal tokens the first two are joined, as in encoding.
    for (const place of places.sort((a, b) => a - b)) {
      const taken = this.#next[place]!
      if (this.#symbols[place] !== left || taken < 0 || this.#symbols[taken] !== right) continue
      const before = this.#previous[place]!
      const after = this.#next[taken]!
      if (before >= 0) this.#discount(before)
      if (after >= 0) this.#discount(taken)
      this.#symbols[place] = merged
      this.#symbols[taken] = -1
      this.#next[place] = after
      if (after >= 0) this.#previous[after] = place
      if (before >= 0) changed.add(this.#count(before))
      if (after >= 0) changed.add(this.#count(place))
    }
    this.#counts[pair] = 0
    for (const created of changed) this.#enqueue(created)
  }

  /** Counts the pair that begins at a place; returns its number. */
  #count(place: number): number {
    const pair = this.#pairs.add(this.#symbols[place]!, this.#symbols[this.#next[place]!]!)
    this.#counts[pair] = (this.#counts[pair] ?? 0) + this.#weights[place]!
    const places = this.#places[pair]
    if (places) places.push(place)
    else this.#places[pair] = [place]
    return pair
  }

  #discount(place: number): void {
    const pair = this.#pairs.find(this.#symbols[place]!, this.#symbols[this.#next[place]!]!)
    this.#counts[pair]! -= this.#weights[place]!
  }

  #enqueue(pair: number): void {
    const count = this.#counts[pair]!
    if (count > 0) this.#queue.push({ left: this.#pairs.left(pair), right: this.#pairs.right(pair), count })
  }
}
