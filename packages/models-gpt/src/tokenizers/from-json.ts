import { BytePairTokenizer } from './byte-pair-tokenizer.ts'
import { maximumVocabularySize } from './byte-pair-vocabulary.ts'
import { visibleToBytes } from './byte-unicode.ts'
import { CharacterTokenizer } from './character-tokenizer.ts'
import { shown, TokenizerError, tokenizerFormat, tokenizerVersion } from './tokenizer.ts'

/**
 * Makes a tokenizer from what its `toJSON` gave, after `JSON.parse`. The value may come from an untrusted file:
 * everything is checked.
 *
 * @throws TokenizerError naming the field that is wrong
 * @example
 * ```ts
 * const tokenizer = CharacterTokenizer.fromText('abc')
 * tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer))).encode('cab') // Int32Array [2, 0, 1]
 * ```
 */
export function tokenizerFromJSON(json: unknown): CharacterTokenizer | BytePairTokenizer {
  const fields = asObject(json)
  if (fields.format !== tokenizerFormat) {
    throw invalid(`format is ${shown(fields.format)}, not ${shown(tokenizerFormat)}`)
  }
  if (fields.version !== tokenizerVersion) {
    throw invalid(`version is ${shown(fields.version)}; this package reads ${tokenizerVersion}`)
  }
  if (typeof fields.name !== 'string') throw invalid(`name must be a string, not ${shown(fields.name)}`)
  if (fields.kind === 'character') return characterTokenizer(fields, fields.name)
  if (fields.kind === 'byte-pair') return bytePairTokenizer(fields, fields.name)
  throw invalid(`kind is ${shown(fields.kind)}, neither "character" nor "byte-pair"`)
}

function characterTokenizer(fields: Record<string, unknown>, name: string): CharacterTokenizer {
  const { codePoints, unknown } = fields
  const isSorted = (list: unknown[]) =>
    list.every((entry, id) => id === 0 || (entry as number) > (list[id - 1] as number))
  if (!Array.isArray(codePoints) || !codePoints.every(Number.isInteger) || !isSorted(codePoints)) {
    throw invalid(`codePoints must be a list of ascending code points, not ${shown(codePoints)}`)
  }
  if (unknown === undefined) return new CharacterTokenizer(codePoints, { name })
  if (typeof unknown !== 'string' || !codePoints.includes(unknown.codePointAt(0))) {
    throw invalid(`unknown must be a character of the vocabulary, not ${shown(unknown)}`)
  }
  return new CharacterTokenizer(codePoints, { name, unknown })
}

function bytePairTokenizer(fields: Record<string, unknown>, name: string): BytePairTokenizer {
  const { longestWhitespaceRun } = fields
  const tokens = asArray('tokens', fields.tokens)
  const merges = asArray('merges', fields.merges)
  const specialTokens = asArray('specialTokens', fields.specialTokens)
  if (tokens.length > maximumVocabularySize) {
    throw invalid(`tokens has ${tokens.length} entries, more than ${maximumVocabularySize}`)
  }
  if (typeof longestWhitespaceRun !== 'number') {
    throw invalid(`longestWhitespaceRun must be a number, not ${shown(longestWhitespaceRun)}`)
  }
  return new BytePairTokenizer({
    name,
    tokens: tokens.map((token, id) => {
      if (token === null) return undefined
      const bytes = typeof token === 'string' ? visibleToBytes(token) : undefined
      if (!bytes) throw invalid(`token ${id} is ${shown(token)}, not the visible spelling of bytes`)
      return bytes
    }),
    merges: merges.map((merge, rank) => {
      if (!Array.isArray(merge) || merge.length !== 2 || !merge.every(Number.isInteger)) {
        throw invalid(`merge ${rank} is ${shown(merge)}, not two ids`)
      }
      return merge as [number, number]
    }),
    longestWhitespaceRun,
    specialTokens: new Map(
      specialTokens.map((entry, index) => {
        if (
          !Array.isArray(entry) ||
          entry.length !== 2 ||
          typeof entry[0] !== 'string' ||
          !Number.isInteger(entry[1])
        ) {
          throw invalid(`special token ${index} is ${shown(entry)}, not a text and an id`)
        }
        return entry as [string, number]
      }),
    ),
  })
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalid(`it must be an object, not ${shown(value)}${typeof value === 'string' ? '; parse the text first' : ''}`)
}

function asArray(field: string, value: unknown): unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(`${field} must be a list, not ${shown(value)}`)
}

function invalid(reason: string): TokenizerError {
  return new TokenizerError(
    'TOKENIZER_INVALID_VOCABULARY',
    `tokenizer JSON: ${reason}. The file is damaged, or was not written by a tokenizer's toJSON.`,
  )
}
