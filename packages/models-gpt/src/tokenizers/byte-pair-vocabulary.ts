import { bytesToVisible } from './byte-unicode.ts'
import { MergeRules } from './merge-rules.ts'
import { shown, TokenizerError } from './tokenizer.ts'

/** The most tokens that a vocabulary may have; ranks and places must fit one number. */
export const maximumVocabularySize = 2 ** 20

/** The longest run of spaces that may have a token; the rules for runs grow with its square. */
const maximumWhitespaceRun = 256

/** Everything that defines a byte-level byte-pair tokenizer. */
export interface BytePairVocabulary {
  readonly name: string
  /** The bytes of each token by id; undefined where the id belongs to a special token. */
  readonly tokens: readonly (Uint8Array | undefined)[]
  /** Which two tokens join, the most preferred first. */
  readonly merges: readonly (readonly [left: number, right: number])[]
  /** Runs of up to this many spaces are one token each, as in Codex; absent or 0 for none. */
  readonly longestWhitespaceRun?: number
  /** Text that stands for one token, by its exact spelling. */
  readonly specialTokens: ReadonlyMap<string, number>
}

/** A vocabulary made ready for encoding. */
export interface CompiledVocabulary {
  readonly size: number
  /** The token of each single byte. */
  readonly idOfByte: Int32Array
  readonly rules: MergeRules
}

/**
 * Checks a vocabulary, which may come from an untrusted file, and prepares it for encoding.
 *
 * @throws TokenizerError when a byte has no token, two tokens are equal, a merge uses or makes an unknown token, or
 * an id is missing or used twice
 */
export function compileVocabulary(vocabulary: BytePairVocabulary): CompiledVocabulary {
  const { tokens, merges, longestWhitespaceRun = 0 } = vocabulary
  const size = checkIds(vocabulary)
  const idOfToken = new Map<string, number>()
  const visible = tokens.map((bytes, id) => {
    if (bytes === undefined) return ''
    const text = bytesToVisible(bytes)
    const earlier = idOfToken.get(text)
    if (bytes.length === 0) throw invalid(`token ${id} is empty`)
    if (earlier !== undefined) throw invalid(`tokens ${earlier} and ${id} are the same, ${shown(text)}`)
    idOfToken.set(text, id)
    return text
  })
  const { idOfByte, isMade } = singleBytes(idOfToken, size)
  const rules = new MergeRules()
  merges.forEach(([left, right], rank) => {
    if (!isMade[left] || !isMade[right]) {
      throw invalid(
        `merge ${rank} joins the tokens ${shown(left)} and ${shown(right)}, which are not both single bytes or made by an earlier merge`,
      )
    }
    const merged = idOfToken.get(visible[left]! + visible[right]!)
    if (merged === undefined) {
      throw invalid(`merge ${rank} makes ${shown(visible[left]! + visible[right]!)}, which is not a token`)
    }
    rules.add(left, right, rank, merged)
    isMade[merged] = 1
  })
  addWhitespaceRuns(rules, merges.length, idOfToken, longestWhitespaceRun)
  return { size, idOfByte, rules }
}

/** Returns the number of ids, after checking that each from 0 up has exactly one token. */
function checkIds({ tokens, specialTokens }: BytePairVocabulary): number {
  const isSpecial = new Set<number>()
  for (const [text, id] of specialTokens) {
    if (text === '') throw invalid('a special token has no text')
    if (!Number.isSafeInteger(id) || id < 0 || tokens[id] !== undefined || isSpecial.has(id)) {
      throw invalid(`the special token ${shown(text)} has the id ${shown(id)}, which is no free id`)
    }
    isSpecial.add(id)
  }
  const size = tokens.reduce((count, token) => count + (token === undefined ? 0 : 1), isSpecial.size)
  if (size > maximumVocabularySize) throw invalid(`it has ${size} tokens, more than ${maximumVocabularySize}`)
  for (let id = 0; id < size; id++) {
    if (tokens[id] === undefined && !isSpecial.has(id))
      throw invalid(`it has ${size} tokens, but none has the id ${id}`)
  }
  return size
}

function singleBytes(idOfToken: ReadonlyMap<string, number>, size: number) {
  const isMade = new Uint8Array(size)
  const idOfByte = Int32Array.from({ length: 256 }, (_, byte) => {
    const id = idOfToken.get(bytesToVisible(Uint8Array.of(byte)))
    if (id === undefined) throw invalid(`the byte ${byte} has no token, so not every text could be encoded`)
    isMade[id] = 1
    return id
  })
  return { idOfByte, isMade }
}

/** Any two neighbouring runs of spaces join while their sum has a token, shorter sums first. */
function addWhitespaceRuns(
  rules: MergeRules,
  firstRank: number,
  idOfToken: ReadonlyMap<string, number>,
  longest: number,
): void {
  if (!Number.isInteger(longest) || longest < 0 || longest === 1 || longest > maximumWhitespaceRun) {
    throw new TokenizerError(
      'TOKENIZER_INVALID_OPTION',
      `byte-pair tokenizer: the longest whitespace run must be 0 or an integer from 2 to ${maximumWhitespaceRun}, not ${shown(longest)}.`,
    )
  }
  const idOfRun = Array.from({ length: longest + 1 }, (_, length) => {
    const id = idOfToken.get(bytesToVisible(new Uint8Array(length).fill(0x20)))
    if (id === undefined && length > 0) throw invalid(`a run of ${length} spaces has no token`)
    return id
  })
  for (let sum = 2; sum <= longest; sum++) {
    for (let left = 1; left < sum; left++) {
      rules.add(idOfRun[left]!, idOfRun[sum - left]!, firstRank + sum - 2, idOfRun[sum]!)
    }
  }
}

function invalid(reason: string): TokenizerError {
  return new TokenizerError(
    'TOKENIZER_INVALID_VOCABULARY',
    `byte-pair tokenizer: the vocabulary cannot be used: ${reason}. The file is damaged or of another kind of tokenizer.`,
  )
}
