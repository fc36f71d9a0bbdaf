export { type BytePairEncodeOptions, BytePairTokenizer, type BytePairTokenizerJson } from './byte-pair-tokenizer.ts'
export type { BytePairVocabulary } from './byte-pair-vocabulary.ts'
export {
  CharacterTokenizer,
  type CharacterTokenizerJson,
  type CharacterTokenizerOptions,
} from './character-tokenizer.ts'
export { tokenizerFromJSON } from './from-json.ts'
export {
  bytePairTokenizerFromGpt2Files,
  bytePairTokenizerToGpt2Files,
  type Gpt2FilesOptions,
  type Gpt2TokenizerFiles,
} from './gpt2-files.ts'
export { gpt2Pattern } from './pre-tokenizer.ts'
export { bytePairTokenizerFromRanks, type RanksOptions } from './ranks.ts'
export { type Tokenizer, TokenizerError, type TokenizerErrorCode } from './tokenizer.ts'
export { type TrainBytePairOptions, trainBytePairTokenizer } from './train-byte-pair.ts'
