import {
  BytePairTokenizer,
  bytePairTokenizerFromRanks,
  CharacterTokenizer,
  splitText,
  type Tokenizer,
  trainBytePairTokenizer,
} from '@tessera/models-gpt'
import { UsageError } from './usage-error.ts'

/** `character`, `bpe:SIZE` for one that is trained on the text, `gpt2` for the published one. */
export type TokenizerChoice = 'character' | 'gpt2' | `bpe:${number}`

const endOfText = '<|endoftext|>'
const defaultBytePairSize = 1024
/** All bytes. */
const smallestBytePairSize = 256

/** Reads the name of a tokenizer. */
export function tokenizerChoice(text: string): TokenizerChoice {
  if (text === 'character' || text === 'gpt2') return text
  const [, size] = /^bpe(?::(\d+))?$/.exec(text) ?? []
  const vocabularySize = size === undefined ? defaultBytePairSize : Number(size)
  if (!text.startsWith('bpe') || (text !== 'bpe' && size === undefined)) {
    throw new UsageError(`The tokenizer '${text}' is not known. Choose character, bpe, bpe:SIZE or gpt2.`)
  }
  if (vocabularySize < smallestBytePairSize) {
    throw new UsageError(
      `A byte-pair tokenizer of ${vocabularySize} tokens is too small: every byte is one. Give ${smallestBytePairSize} at least.`,
    )
  }
  return `bpe:${vocabularySize}`
}

/** Makes the tokenizer for a text. Byte pairs are counted in the training part alone; every character of the text is a token of its own. */
export async function makeTokenizer(choice: TokenizerChoice, text: string): Promise<Tokenizer> {
  if (choice === 'character') return CharacterTokenizer.fromText(text)
  if (choice === 'gpt2') {
    const { default: ranks } = await import('gpt-tokenizer/bpeRanks/r50k_base')
    return bytePairTokenizerFromRanks(ranks, { name: 'gpt2', specialTokens: { [endOfText]: ranks.length } })
  }
  return trainBytePairTokenizer(splitText(text).training, { vocabularySize: Number(choice.slice('bpe:'.length)) })
}

/** The token that ends a text, if the tokenizer has one. */
export function endTokenOf(tokenizer: Tokenizer): number | undefined {
  return tokenizer instanceof BytePairTokenizer ? tokenizer.vocabulary.specialTokens.get(endOfText) : undefined
}
