import { TesseraError } from '@tessera/core'

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** What to call it in reports; stored with it. */
  readonly name: string
  /** Ids run from 0 to `vocabularySize - 1`. */
  readonly vocabularySize: number
  encode(text: string): Int32Array
  /** @throws TokenizerError for an id that is not in the vocabulary */
  decode(ids: ArrayLike<number>): string
  /** A plain object for `JSON.stringify`; `tokenizerFromJSON` makes the tokenizer again. */
  toJSON(): unknown
}

/** The value of `format` in every tokenizer's JSON. */
export const tokenizerFormat = 'tessera-tokenizer'

/** The version of the JSON that this package writes and reads. */
export const tokenizerVersion = 1

/** What went wrong in a tokenizer; stable across versions. */
export type TokenizerErrorCode =
  | 'TOKENIZER_UNKNOWN_CHARACTER'
  | 'TOKENIZER_INVALID_ID'
  | 'TOKENIZER_INVALID_OPTION'
  | 'TOKENIZER_INVALID_VOCABULARY'

/** Raised for text, ids, options and vocabularies that a tokenizer cannot use. */
export class TokenizerError extends TesseraError {
  override readonly name = 'TokenizerError'
  declare readonly code: TokenizerErrorCode

  constructor(code: TokenizerErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}

/** Shows a value from untrusted data in a message, quoted and cut to a length that fits. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** The error for the id at `position` of a sequence that is to be decoded. */
export function invalidId(name: string, id: unknown, position: number, vocabularySize: number): TokenizerError {
  return new TokenizerError(
    'TOKENIZER_INVALID_ID',
    `${name}: cannot decode the id ${shown(id)} at position ${position}: ids are integers from 0 to ${vocabularySize - 1}. ` +
      'Decode with the tokenizer that the model was trained with.',
  )
}
