import { TesseraError } from '@tessera/core'
import { type GptConfiguration, gptConfiguration, headPatterns } from '../gpt/configuration.ts'
import { fitsHuggingFace } from './names.ts'

/** GPT-2's tanh approximation of GELU under its names in transformers. */
const tanhGelu = ['gelu_new', 'gelu_pytorch_tanh', 'gelu_fast']

/** Settings of `GPT2Config` that would change what the model computes, with the values that do not. */
const fixed = {
  scale_attn_weights: [true],
  scale_attn_by_inverse_layer_idx: [false],
  add_cross_attention: [false],
  tie_word_embeddings: [true],
} as const

/**
 * Reads the `config.json` of a Hugging Face GPT-2. Fields that are left out have the defaults of `GPT2Config`. The three
 * dropout rates are one here: `resid_pdrop`.
 *
 * @param text of unknown origin
 * @throws TesseraError `HUGGING_FACE_CONFIG` when it is not JSON, describes another architecture or lacks a size
 */
export function parseHuggingFaceConfig(text: string): GptConfiguration {
  const config = parseObject(text)
  const type = config.model_type
  if (type !== undefined && type !== 'gpt2') {
    fail(`model_type is ${shown(type)}; only "gpt2" can be read. Take the config.json of a GPT-2.`)
  }
  const activation = config.activation_function ?? 'gelu_new'
  if (!tanhGelu.includes(activation as string)) {
    fail(`activation_function is ${shown(activation)}; only GPT-2's own can be read: ${tanhGelu.join(', ')}.`)
  }
  for (const [name, allowed] of Object.entries(fixed)) {
    const value = config[name] ?? allowed[0]
    if (!(allowed as readonly unknown[]).includes(value)) {
      fail(
        `${name} is ${shown(value)}, which changes what the model computes and is not supported; it must be ${allowed[0]}.`,
      )
    }
  }
  const number = (name: string, preset: number): number => {
    const value = config[name] ?? preset
    return typeof value === 'number' ? value : fail(`${name} must be a number, got ${shown(value)}.`)
  }
  const width = number('n_embd', 768)
  // Configurations before 2020 call the positions n_ctx.
  const blockSize = number('n_positions', number('n_ctx', 1024))
  try {
    return gptConfiguration({
      layers: number('n_layer', 12),
      heads: number('n_head', 12),
      width,
      blockSize,
      vocabularySize: number('vocab_size', 50257),
      biases: true,
      dropout: number('resid_pdrop', 0.1),
      feedForwardRatio: number('n_inner', 4 * width) / width,
      layerNormEpsilon: number('layer_norm_epsilon', 1e-5),
      initialDeviation: number('initializer_range', 0.02),
    })
  } catch (cause) {
    return fail((cause as Error).message, cause)
  }
}

/**
 * The `config.json` that makes transformers build the same model.
 *
 * @throws TesseraError `HUGGING_FACE_CONFIG` for sparse attention, and for heads that do not divide the width, which GPT-2's code cannot express
 */
export function huggingFaceConfig(configuration: GptConfiguration): Record<string, unknown> {
  const { layers, heads, headWidth, width, blockSize, vocabularySize, dropout, feedForwardRatio } = configuration
  if (configuration.attention.some((layer) => headPatterns(layer).some(({ kind }) => kind !== 'dense'))) {
    fail(
      "the model has layers of sparse attention, and Hugging Face's GPT-2 attends densely in all. Save the model as a checkpoint instead.",
    )
  }
  if (!fitsHuggingFace(configuration)) {
    fail(
      `${heads} heads of ${headWidth} channels are not the width ${width}, and Hugging Face's GPT-2 has no setting for that. ` +
        'Save the model as a checkpoint instead.',
    )
  }
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    activation_function: 'gelu_new',
    n_layer: layers,
    n_head: heads,
    n_embd: width,
    n_inner: width * feedForwardRatio,
    n_positions: blockSize,
    n_ctx: blockSize,
    vocab_size: vocabularySize,
    resid_pdrop: dropout,
    embd_pdrop: dropout,
    attn_pdrop: dropout,
    layer_norm_epsilon: configuration.layerNormEpsilon,
    initializer_range: configuration.initialDeviation,
    scale_attn_weights: true,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    return fail(`it is not JSON (${(cause as Error).message}). Fetch the file again.`, cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail(`it must be an object, got ${shown(value)}.`)
  return value as Record<string, unknown>
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function fail(reason: string, cause?: unknown): never {
  throw new TesseraError(
    'HUGGING_FACE_CONFIG',
    `Hugging Face config: ${reason}`,
    cause === undefined ? undefined : { cause },
  )
}
