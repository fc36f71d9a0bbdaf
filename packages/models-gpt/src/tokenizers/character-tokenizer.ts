import { invalidId, shown, type Tokenizer, TokenizerError, tokenizerFormat, tokenizerVersion } from './tokenizer.ts'

/** Options of a character tokenizer. */
export interface CharacterTokenizerOptions {
  readonly name?: string
  /** One character that stands for every character that is not in the vocabulary; it joins the vocabulary. */
  readonly unknown?: string
}

/** The JSON of a character tokenizer. */
export interface CharacterTokenizerJson {
  readonly format: typeof tokenizerFormat
  readonly version: typeof tokenizerVersion
  readonly kind: 'character'
  readonly name: string
  /** Code points in ascending order: the token id is the place in this list. */
  readonly codePoints: readonly number[]
  readonly unknown?: string
}

/**
 * One token for each Unicode character (code point, not UTF-16 unit) that a training text holds, as in nanoGPT's
 * character-level Shakespeare. Ids follow the order of the code points.
 *
 * @example
 * ```ts
 * const tokenizer = CharacterTokenizer.fromText('hello')
 * tokenizer.encode('hole') // Int32Array [1, 3, 2, 0]: the vocabulary is e, h, l, o
 * ```
 */
export class CharacterTokenizer implements Tokenizer {
  readonly name: string
  readonly vocabularySize: number
  readonly #codePoints: Int32Array
  readonly #ids = new Map<number, number>()
  readonly #unknown: string | undefined

  /** The tokenizer whose vocabulary is the characters of a text. */
  static fromText(text: string, options: CharacterTokenizerOptions = {}): CharacterTokenizer {
    const codePoints = new Set<number>()
    for (const character of text) codePoints.add(character.codePointAt(0)!)
    return new CharacterTokenizer(codePoints, options)
  }

  /**
   * @param codePoints the vocabulary, in any order
   * @throws TokenizerError when there is none, one is no code point, or `unknown` is not one character
   */
  constructor(codePoints: Iterable<number>, { name = 'character', unknown }: CharacterTokenizerOptions = {}) {
    const distinct = new Set(codePoints)
    if (unknown !== undefined) {
      if ([...unknown].length !== 1) {
        throw new TokenizerError(
          'TOKENIZER_INVALID_OPTION',
          `character tokenizer: unknown must be one character, not ${shown(unknown)}. Give for example "\ufffd".`,
        )
      }
      distinct.add(unknown.codePointAt(0)!)
    }
    for (const codePoint of distinct) {
      if (!Number.isInteger(codePoint) || codePoint < 0 || codePoint > 0x10ffff) {
        throw new TokenizerError(
          'TOKENIZER_INVALID_VOCABULARY',
          `character tokenizer: ${shown(codePoint)} is no Unicode code point; they are integers from 0 to 1114111.`,
        )
      }
    }
    if (distinct.size === 0) {
      throw new TokenizerError(
        'TOKENIZER_INVALID_VOCABULARY',
        'character tokenizer: the vocabulary is empty. Give a text that has at least one character.',
      )
    }
    this.name = name
    this.#unknown = unknown
    this.#codePoints = Int32Array.from(distinct).sort()
    this.#codePoints.forEach((codePoint, id) => {
      this.#ids.set(codePoint, id)
    })
    this.vocabularySize = this.#codePoints.length
  }

  /** @throws TokenizerError for a character outside the vocabulary, unless the option `unknown` was given */
  encode(text: string): Int32Array {
    const substitute = this.#unknown === undefined ? undefined : this.#ids.get(this.#unknown.codePointAt(0)!)
    const ids = new Int32Array(text.length)
    let length = 0
    for (let index = 0; index < text.length; ) {
      const codePoint = text.codePointAt(index)!
      const id = this.#ids.get(codePoint) ?? substitute
      if (id === undefined) throw this.#unknownCharacter(codePoint, index)
      ids[length++] = id
      index += codePoint > 0xffff ? 2 : 1
    }
    return ids.slice(0, length)
  }

  decode(ids: ArrayLike<number>): string {
    const pieces: string[] = []
    for (let position = 0; position < ids.length; position++) {
      const codePoint = this.#codePoints[ids[position]!]
      if (codePoint === undefined) throw invalidId(this.name, ids[position], position, this.vocabularySize)
      pieces.push(String.fromCodePoint(codePoint))
    }
    return pieces.join('')
  }

  toJSON(): CharacterTokenizerJson {
    return {
      format: tokenizerFormat,
      version: tokenizerVersion,
      kind: 'character',
      name: this.name,
      codePoints: [...this.#codePoints],
      ...(this.#unknown === undefined ? {} : { unknown: this.#unknown }),
    }
  }

  #unknownCharacter(codePoint: number, index: number): TokenizerError {
    const name = `U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`
    return new TokenizerError(
      'TOKENIZER_UNKNOWN_CHARACTER',
      `${this.name}: the character ${JSON.stringify(String.fromCodePoint(codePoint))} (${name}) at index ${index} is not ` +
        `among the ${this.vocabularySize} characters of the vocabulary. Remove it, train on text that has it, or set the option unknown.`,
    )
  }
}
