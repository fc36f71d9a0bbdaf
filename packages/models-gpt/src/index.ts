export * from './data/index.ts'
export { checkTokens, GptDecoder } from './generation/decoder.ts'
export {
  type GeneratedPiece,
  type GenerateOptions,
  type GenerateTokensOptions,
  generate,
  generateText,
  generateTokens,
} from './generation/generate.ts'
export { checkSamplingOptions, type SamplingOptions, sampleToken } from './generation/sampling.ts'
export {
  type AttentionChoice,
  attentionChoices,
  attentionLayers,
  attentionScores,
  parseAttention,
} from './gpt/attention-choice.ts'
export { type GptWithTokenizer, gptFromCheckpoint, gptMetadata } from './gpt/checkpoint.ts'
export {
  type GptConfiguration,
  type GptOptions,
  gptConfiguration,
  gptConfigurationFromJSON,
  headPatterns,
  type LayerAttention,
} from './gpt/configuration.ts'
export { CausalSelfAttention, FeedForward, Gpt, GptBlock, type GptCache, type LayerCache } from './gpt/model.ts'
export { countParameters, gptParameterShapes } from './gpt/parameters.ts'
export { type GptPreset, gptPreset, gptPresetNames } from './gpt/presets.ts'
export { quantizeGpt, type WeightFormat } from './gpt/quantize.ts'
export { huggingFaceConfig, parseHuggingFaceConfig } from './hugging-face/config.ts'
export { gptFromHuggingFace, gptToHuggingFace, type HuggingFaceFiles } from './hugging-face/files.ts'
export {
  type PositionEmbedding,
  type SparseTransformerConfiguration,
  type SparseTransformerOptions,
  sparseTransformerConfiguration,
} from './sparse-transformer/configuration.ts'
export {
  type GenerateSequencesOptions,
  generateSequences,
  SparseTransformerDecoder,
} from './sparse-transformer/decoder.ts'
export { SparseTransformer, SparseTransformerBlock } from './sparse-transformer/model.ts'
export { countSparseTransformerParameters } from './sparse-transformer/parameters.ts'
export {
  type SparseTransformerPreset,
  sparseTransformerPreset,
  sparseTransformerPresetNames,
} from './sparse-transformer/presets.ts'
export * from './tokenizers/index.ts'
