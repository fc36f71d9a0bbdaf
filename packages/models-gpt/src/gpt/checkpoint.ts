import { randomKey, TesseraError } from '@tessera/core'
import { type Checkpoint, type JsonValue, restoreCheckpoint } from '@tessera/nn'
import { type Tokenizer, tokenizerFromJSON } from '../tokenizers/index.ts'
import { gptConfigurationFromJSON } from './configuration.ts'
import { Gpt } from './model.ts'

/** A model with the tokenizer that it was trained with. */
export interface GptWithTokenizer {
  readonly model: Gpt
  readonly tokenizer: Tokenizer
}

/**
 * What a checkpoint of a GPT says beside its tensors, so that {@link gptFromCheckpoint} needs nothing else.
 *
 * @example
 * ```ts
 * const tokenizer = CharacterTokenizer.fromText('to be or not to be')
 * const { vocabularySize } = tokenizer
 * const sizes = gptConfiguration({ layers: 1, heads: 1, width: 8, blockSize: 8, vocabularySize })
 * const model = new Gpt(sizes, randomKey(0))
 * const checkpoint = await captureCheckpoint({ model }, { step: 0, ...gptMetadata({ model, tokenizer }) })
 * console.log(gptFromCheckpoint(checkpoint).model.configuration.width) // 8
 * ```
 */
export function gptMetadata({ model, tokenizer }: GptWithTokenizer): Record<'configuration' | 'tokenizer', JsonValue> {
  return {
    configuration: { ...model.configuration },
    tokenizer: tokenizer.toJSON() as JsonValue,
  }
}

/**
 * Makes the model and the tokenizer that a checkpoint holds. Everything in it is checked.
 *
 * @throws TesseraError when the checkpoint is not one of a GPT, or its tensors do not fit its configuration
 */
export function gptFromCheckpoint(checkpoint: Checkpoint): GptWithTokenizer {
  const { configuration: sizes, tokenizer: json } = checkpoint.metadata
  if (sizes === undefined || json === undefined) {
    throw new TesseraError(
      'GPT_CHECKPOINT',
      `The checkpoint has no ${sizes === undefined ? 'configuration of a GPT' : 'tokenizer'} in its metadata, so it was not saved by a ` +
        'run that trains one. Take a checkpoint that tessera-gpt wrote, or add gptMetadata() when saving.',
    )
  }
  const configuration = gptConfigurationFromJSON(sizes)
  // A checkpoint of n tensors holds no more than n layers: a false number of layers must not cost time.
  if (configuration.layers > checkpoint.tensors.size) {
    throw new TesseraError(
      'GPT_CHECKPOINT',
      `The checkpoint has ${checkpoint.tensors.size} tensors for ${configuration.layers} layers, so it is damaged. Take an earlier one.`,
    )
  }
  const tokenizer = tokenizerFromJSON(json)
  if (tokenizer.vocabularySize > configuration.vocabularySize) {
    throw new TesseraError(
      'GPT_CHECKPOINT',
      `The checkpoint's tokenizer has ${tokenizer.vocabularySize} tokens, its model ${configuration.vocabularySize}, so they do not belong ` +
        'together. Take an earlier checkpoint.',
    )
  }
  const model = new Gpt(configuration, randomKey(0))
  restoreCheckpoint(checkpoint, { model })
  return { model, tokenizer }
}
