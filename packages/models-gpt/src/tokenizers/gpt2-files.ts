import { BytePairTokenizer } from './byte-pair-tokenizer.ts'
import { bytesToVisible, visibleToBytes } from './byte-unicode.ts'
import { shown, TokenizerError } from './tokenizer.ts'

/** The contents of the two files of a GPT-2 tokenizer. */
export interface Gpt2TokenizerFiles {
  /** `vocab.json`: an object from the visible spelling of each token to its id. */
  readonly vocabulary: string
  /** `merges.txt`: one merge a line, two tokens with a space between, the most preferred first. */
  readonly merges: string
}

/** Options for reading GPT-2's files. */
export interface Gpt2FilesOptions {
  readonly name?: string
  /** Entries of `vocab.json` that are special tokens; by default `<|endoftext|>` if it is there. */
  readonly specialTokens?: readonly string[]
  /** Set when the vocabulary has tokens for runs of spaces that no merge makes, as Codex has up to 25. */
  readonly longestWhitespaceRun?: number
}

const endOfText = '<|endoftext|>'
const versionLine = '#version: 0.2'

/**
 * Reads the `vocab.json` and `merges.txt` of GPT-2 and of the many tokenizers in its format.
 *
 * @throws TokenizerError for files that are damaged or do not fit together, naming the line or the entry
 */
export function bytePairTokenizerFromGpt2Files(
  files: Gpt2TokenizerFiles,
  { name = 'gpt2', specialTokens, longestWhitespaceRun = 0 }: Gpt2FilesOptions = {},
): BytePairTokenizer {
  const ids = parseVocabulary(files.vocabulary)
  const special = new Map<string, number>()
  for (const text of specialTokens ?? (ids.has(endOfText) ? [endOfText] : [])) {
    const id = ids.get(text)
    if (id === undefined) throw invalid(`vocab.json has no entry for the special token ${shown(text)}`)
    special.set(text, id)
  }
  const tokens: (Uint8Array | undefined)[] = Array.from({ length: ids.size })
  for (const [text, id] of ids) {
    if (special.has(text)) continue
    const bytes = visibleToBytes(text)
    if (!bytes) throw invalid(`the entry ${shown(text)} of vocab.json is not in GPT-2's spelling of bytes`)
    if (tokens[id]) throw invalid(`vocab.json gives the id ${id} twice, the second time to ${shown(text)}`)
    tokens[id] = bytes
  }
  return new BytePairTokenizer({
    name,
    tokens,
    merges: parseMerges(files.merges, ids),
    longestWhitespaceRun,
    specialTokens: special,
  })
}

/** Writes a tokenizer as GPT-2's two files. Runs of spaces that no merge makes must be named again on reading. */
export function bytePairTokenizerToGpt2Files({ vocabulary }: BytePairTokenizer): Gpt2TokenizerFiles {
  const { tokens, merges, specialTokens } = vocabulary
  const visible = Array.from(tokens, (bytes) => bytes && bytesToVisible(bytes))
  for (const [text, id] of specialTokens) {
    if (visible.includes(text)) {
      throw new TokenizerError(
        'TOKENIZER_INVALID_VOCABULARY',
        `byte-pair tokenizer: vocab.json cannot hold the special token ${shown(text)} beside the ordinary token of that spelling. Save the tokenizer as JSON.`,
      )
    }
    visible[id] = text
  }
  // Entry by entry: an object would put names that look like numbers first.
  const entries = visible.map((text, id) => `${JSON.stringify(text)}: ${id}`)
  const lines = merges.map(([left, right]) => `${visible[left]} ${visible[right]}`)
  return { vocabulary: `{${entries.join(', ')}}`, merges: `${[versionLine, ...lines].join('\n')}\n` }
}

function parseVocabulary(json: string): Map<string, number> {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (cause) {
    throw invalid(`vocab.json is not valid JSON (${(cause as Error).message})`, cause)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw invalid(`vocab.json must hold an object from tokens to ids, not ${shown(parsed)}`)
  }
  const ids = new Map<string, number>(Object.entries(parsed))
  for (const [text, id] of ids) {
    if (!Number.isInteger(id) || id < 0 || id >= ids.size) {
      throw invalid(
        `vocab.json gives ${shown(text)} the id ${shown(id)}; its ${ids.size} entries need the ids 0 to ${ids.size - 1}`,
      )
    }
  }
  return ids
}

function parseMerges(text: string, ids: ReadonlyMap<string, number>): [number, number][] {
  const merges: [number, number][] = []
  text.split(/\r?\n/).forEach((line, index) => {
    if (line === '' || (index === 0 && line.startsWith('#version'))) return
    const parts = line.split(' ')
    const [left, right] = parts.map((part) => ids.get(part))
    if (parts.length !== 2 || left === undefined || right === undefined) {
      throw invalid(
        `line ${index + 1} of merges.txt is ${shown(line)}, not two tokens of vocab.json with a space between`,
      )
    }
    merges.push([left, right])
  })
  return merges
}

function invalid(reason: string, cause?: unknown): TokenizerError {
  return new TokenizerError(
    'TOKENIZER_INVALID_VOCABULARY',
    `GPT-2 tokenizer files: ${reason}. Check that both files belong together and are complete.`,
    { cause },
  )
}
