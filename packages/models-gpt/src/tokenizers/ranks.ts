import { BytePairTokenizer } from './byte-pair-tokenizer.ts'
import { bytesToVisible } from './byte-unicode.ts'
import { MergeRules } from './merge-rules.ts'
import { shown, TokenizerError } from './tokenizer.ts'
import { encodeUtf8 } from './utf8.ts'

/** Options for a published list of ranks. */
export interface RanksOptions {
  readonly name?: string
  /** Special tokens by their text, with their ids; the list of ranks has no entry there. */
  readonly specialTokens?: Readonly<Record<string, number>>
  /** 25 for p50k_base: its runs of spaces are not made by ordinary merges. */
  readonly longestWhitespaceRun?: number
}

/**
 * The tokenizer of a published list of ranks (OpenAI's `.tiktoken` files), in which the place of a token is its id and its
 * priority. The merges are found again by encoding each token with those before it. The words are cut by GPT-2's
 * pattern, which r50k_base (GPT-2, GPT-3) and p50k_base (Codex) use.
 *
 * @param ranks the bytes of each token, as text, numbers or bytes; undefined where a special token has its id
 * @throws TokenizerError when a token is not made of two earlier ones
 * @example
 * ```ts no-run
 * import ranks from 'gpt-tokenizer/bpeRanks/r50k_base'
 * const gpt2 = bytePairTokenizerFromRanks(ranks, { name: 'gpt2', specialTokens: { '<|endoftext|>': 50256 } })
 * gpt2.encode('Hello world') // Int32Array [15496, 995]
 * ```
 */
export function bytePairTokenizerFromRanks(
  ranks: readonly (string | readonly number[] | Uint8Array | undefined)[],
  { name = 'byte-pair', specialTokens = {}, longestWhitespaceRun = 0 }: RanksOptions = {},
): BytePairTokenizer {
  const tokens = Array.from(ranks, (token) =>
    token === undefined ? undefined : typeof token === 'string' ? encodeUtf8(token) : Uint8Array.from(token),
  )
  const isRun = (bytes: Uint8Array) => bytes.length <= longestWhitespaceRun && bytes.every((byte) => byte === 0x20)
  const rules = new MergeRules()
  const merges: [number, number][] = []
  const idOfByte = new Int32Array(256).fill(-1)
  tokens.forEach((bytes, id) => {
    if (bytes?.length === 1) idOfByte[bytes[0]!] = id
  })
  tokens.forEach((bytes, id) => {
    if (!bytes || bytes.length < 2 || isRun(bytes)) return
    const parts = Int32Array.from(bytes, (byte) => idOfByte[byte]!)
    const count = rules.apply(parts, parts.length)
    if (count !== 2) {
      throw new TokenizerError(
        'TOKENIZER_INVALID_VOCABULARY',
        `${name}: the token ${shown(bytesToVisible(bytes))} of rank ${id} is made of ${count} earlier tokens, not of 2. ` +
          'The list is not in the order of its merges, or belongs to another kind of tokenizer.',
      )
    }
    rules.add(parts[0]!, parts[1]!, merges.length, id)
    merges.push([parts[0]!, parts[1]!])
  })
  return new BytePairTokenizer({
    name,
    tokens,
    merges,
    longestWhitespaceRun,
    specialTokens: new Map(Object.entries(specialTokens)),
  })
}
