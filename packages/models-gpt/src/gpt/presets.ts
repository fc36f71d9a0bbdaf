import { TesseraError } from '@tessera/core'
import { banded, dense } from '@tessera/kernel-sparse-attention'
import { type GptConfiguration, type GptOptions, gptConfiguration } from './configuration.ts'

/** Byte-level BPE of GPT-2 and GPT-3: 256 bytes, 50,000 merges and the end-of-text token. */
const bpeVocabulary = 50257

const gpt2 = (layers: number, heads: number, width: number): GptOptions => ({
  layers,
  heads,
  width,
  blockSize: 1024,
  vocabularySize: bpeVocabulary,
})

/** The paper does not say how wide the bands are. */
const gpt3Band = 256

const gpt3 = (layers: number, width: number, heads: number, headWidth: number): GptOptions => ({
  layers,
  heads,
  width,
  headWidth,
  blockSize: 2048,
  attention: [dense(), banded(gpt3Band)],
  vocabularySize: bpeVocabulary,
})

/**
 * Published sizes. GPT-2: Radford et al. 2019, table 2, with the head counts of the released models. GPT-3: Brown et al.
 * 2020, table 2.1, with dense and locally banded layers in turn (section 2.1; the width of the bands, 256, is ours). Two rows of that table do not fit its parameter counts: 24 heads of 128 channels are not 2,048, and 40 heads
 * of 128 are not 5,140. `gpt3-1.3b` and `gpt3-13b` are the sizes that give the counts (16 heads; width 5,120); the rows
 * as printed stand beside them.
 */
const presets = {
  gpt2: gpt2(12, 12, 768),
  'gpt2-medium': gpt2(24, 16, 1024),
  'gpt2-large': gpt2(36, 20, 1280),
  'gpt2-xl': gpt2(48, 25, 1600),
  'gpt3-125m': gpt3(12, 768, 12, 64),
  'gpt3-350m': gpt3(24, 1024, 16, 64),
  'gpt3-760m': gpt3(24, 1536, 16, 96),
  'gpt3-1.3b': gpt3(24, 2048, 16, 128),
  'gpt3-1.3b-as-printed': gpt3(24, 2048, 24, 128),
  'gpt3-2.7b': gpt3(32, 2560, 32, 80),
  'gpt3-6.7b': gpt3(32, 4096, 32, 128),
  'gpt3-13b': gpt3(40, 5120, 40, 128),
  'gpt3-13b-as-printed': gpt3(40, 5140, 40, 128),
  'gpt3-175b': gpt3(96, 12288, 96, 128),
  /** nanoGPT's model for training on a CPU; 65 characters make up its text, tinyshakespeare. */
  'nanogpt-cpu': { layers: 4, heads: 4, width: 128, blockSize: 64, vocabularySize: 65, biases: false },
} as const satisfies Record<string, GptOptions>

/** Name of a preset. */
export type GptPreset = keyof typeof presets

/** Names of all presets. */
export const gptPresetNames = Object.keys(presets) as readonly GptPreset[]

/**
 * Configuration of a published size, with changes if wanted (the vocabulary of your own tokenizer, say).
 *
 * @throws TesseraError `GPT_PRESET` for an unknown name
 * @example
 * ```ts
 * import { gptPreset } from '@tessera/models-gpt'
 * const { layers, vocabularySize } = gptPreset('gpt2-xl', { vocabularySize: 50304 })
 * console.log(layers, vocabularySize) // 48 50304
 * ```
 */
export function gptPreset(name: GptPreset, changes: Partial<GptOptions> = {}): GptConfiguration {
  if (!Object.hasOwn(presets, name)) {
    throw new TesseraError('GPT_PRESET', `gptPreset: '${name}' is not known. Known: ${gptPresetNames.join(', ')}.`)
  }
  const preset: GptOptions = presets[name]
  // A head width belongs to its preset's width and heads: other ones divide anew.
  const { headWidth, ...rest } = preset
  const resized = changes.width !== undefined || changes.heads !== undefined
  return gptConfiguration({ ...rest, ...(headWidth !== undefined && !resized && { headWidth }), ...changes })
}
