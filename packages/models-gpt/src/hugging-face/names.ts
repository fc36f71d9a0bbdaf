import type { GptConfiguration } from '../gpt/configuration.ts'

const blockParts: Readonly<Record<string, string>> = {
  attentionNorm: 'ln_1',
  'attention.queryKeyValue': 'attn.c_attn',
  'attention.projection': 'attn.c_proj',
  feedForwardNorm: 'ln_2',
  'feedForward.expansion': 'mlp.c_fc',
  'feedForward.projection': 'mlp.c_proj',
}

const outerParts: Readonly<Record<string, string>> = {
  tokenEmbedding: 'wte',
  positionEmbedding: 'wpe',
  finalNorm: 'ln_f',
}

/**
 * Name of a parameter in Hugging Face's GPT-2, without the `transformer.` prefix. Their Conv1D layers keep weights as
 * `[in, out]`, as ours do, so that only the names differ.
 *
 * @param name in the tree of a `Gpt`, for example `blocks.0.attention.queryKeyValue.weight`
 */
export function huggingFaceName(name: string): string {
  const [, layer, part, kind] = /^(?:blocks\.(\d+)\.)?(.+)\.(\w+)$/.exec(name)!
  // A norm's gain is called weight there.
  const theirs = kind === 'gain' ? 'weight' : kind
  return layer === undefined ? `${outerParts[part!]}.${theirs}` : `h.${layer}.${blockParts[part!]}.${theirs}`
}

/** Causal masks that older files hold beside the parameters: `h.0.attn.bias` and `h.0.attn.masked_bias`. */
export function isMaskBuffer(name: string): boolean {
  return /^h\.\d+\.attn\.(masked_)?bias$/.test(name)
}

/** The name without the prefix that files of `GPT2LMHeadModel` put before the names of `GPT2Model`. */
export function withoutPrefix(name: string): string {
  return name.replace(/^transformer\./, '')
}

/** Name of the output embedding, which is the token embedding. */
export const outputEmbeddingName = 'lm_head.weight'

/** True when Hugging Face's GPT-2 can express the model: it has biases always, and heads that divide the width. */
export function fitsHuggingFace({ heads, headWidth, width }: GptConfiguration): boolean {
  return heads * headWidth === width
}
