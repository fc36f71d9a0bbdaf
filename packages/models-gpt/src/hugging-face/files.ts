import { randomKey, Tensor, TesseraError, tensor, visitTree } from '@tessera/core'
import {
  parseSafetensors,
  type SafetensorsInput,
  type SafetensorsTensor,
  safetensorsValues,
  serializeSafetensors,
} from '@tessera/nn'
import type { GptConfiguration } from '../gpt/configuration.ts'
import { Gpt } from '../gpt/model.ts'
import { gptParameterShapes } from '../gpt/parameters.ts'
import { huggingFaceConfig, parseHuggingFaceConfig } from './config.ts'
import { bfloat16ToFloat32, float16ToFloat32 } from './half.ts'
import { huggingFaceName, isMaskBuffer, outputEmbeddingName, withoutPrefix } from './names.ts'

/** The two files that make up a Hugging Face GPT-2. */
export interface HuggingFaceFiles {
  /** Text of `config.json`. */
  readonly config: string
  /** Bytes of `model.safetensors`. */
  readonly weights: Uint8Array | ArrayBuffer
}

/**
 * Makes a model from the files of a Hugging Face GPT-2, with or without `transformer.` before the names; weights of 16 or
 * 64 bits become f32. Files come from anywhere, so everything is checked before the model is made.
 *
 * @throws TesseraError `HUGGING_FACE_WEIGHTS` that lists missing, unexpected and misshapen tensors, `HUGGING_FACE_CONFIG`;
 *   SafetensorsError for a damaged file
 * @example
 * ```ts no-run
 * const file = (name: string) => fetch(`https://huggingface.co/openai-community/gpt2/resolve/main/${name}`)
 * const config = await (await file('config.json')).text()
 * const weights = await (await file('model.safetensors')).arrayBuffer()
 * const model = gptFromHuggingFace({ config, weights })
 * ```
 */
export function gptFromHuggingFace({ config, weights }: HuggingFaceFiles): Gpt {
  const configuration = parseHuggingFaceConfig(config)
  const stored = checkedTensors(parseSafetensors(weights).tensors, configuration)
  const model = new Gpt(configuration, randomKey(0))
  // Dropout keys are tensors of the tree as well, with no counterpart in the file.
  visitTree(model, (value, path, owner) => {
    const found = value instanceof Tensor ? stored.get(path.join('.')) : undefined
    if (found && owner) owner[path.at(-1)!] = tensor(toFloat32(found), found.shape)
  })
  return model
}

/**
 * The files from which transformers makes the same model. Biases that the model does not have are written as zeros, as
 * GPT-2 always has them there.
 *
 * @throws TesseraError `HUGGING_FACE_CONFIG` for a model whose heads together are not as wide as the model
 */
export async function gptToHuggingFace(model: Gpt): Promise<{ config: string; weights: Uint8Array<ArrayBuffer> }> {
  const config = `${JSON.stringify(huggingFaceConfig(model.configuration), undefined, 2)}\n`
  const values = new Map<string, Tensor>()
  visitTree(model, (value, path) => {
    if (value instanceof Tensor) values.set(path.join('.'), value)
  })
  const tensors: Record<string, SafetensorsInput> = {}
  for (const [name, shape] of gptParameterShapes({ ...model.configuration, biases: true })) {
    const data = await values.get(name)?.cast('f32').data()
    const bytes = data ?? new Float32Array(shape.reduce((product, extent) => product * extent, 1))
    tensors[`transformer.${huggingFaceName(name)}`] = { dtype: 'F32', shape, bytes }
  }
  return { config, weights: serializeSafetensors(tensors, { format: 'pt' }) }
}

/** The tensors of a file by the names of our parameters: all of them, of the right shapes, and nothing that they do not explain. */
function checkedTensors(
  file: ReadonlyMap<string, SafetensorsTensor>,
  configuration: GptConfiguration,
): Map<string, SafetensorsTensor> {
  // A file of n tensors holds no more than n layers: a false number of layers must not cost time.
  if (configuration.layers > file.size)
    fail(configuration, [`it has ${file.size} tensors for ${configuration.layers} layers`])
  const theirs = new Map([...file].map(([name, tensor]) => [withoutPrefix(name), tensor]))
  const ours = new Map<string, SafetensorsTensor>()
  const problems: string[] = []
  for (const [name, shape] of gptParameterShapes(configuration)) {
    const theirName = huggingFaceName(name)
    const found = theirs.get(theirName)
    theirs.delete(theirName)
    if (!found) problems.push(`${theirName} is missing`)
    else if (found.shape.join() !== shape.join()) {
      problems.push(`${theirName} is [${found.shape.join(', ')}], not [${shape.join(', ')}]`)
    } else if (!Object.hasOwn(toFloat, found.dtype)) {
      problems.push(`${theirName} holds ${found.dtype}, not ${Object.keys(toFloat).join(', ')}`)
    } else ours.set(name, found)
  }
  const embedding = ours.get('tokenEmbedding.weight')
  const output = theirs.get(outputEmbeddingName)
  if (output && embedding && !sameBytes(output.bytes, embedding.bytes)) {
    problems.push(`${outputEmbeddingName} differs from wte.weight, and only tied output embeddings are supported`)
  }
  for (const name of theirs.keys()) {
    if (name !== outputEmbeddingName && !isMaskBuffer(name))
      problems.push(`${name} is no part of a GPT-2 of this config`)
  }
  if (problems.length > 0) fail(configuration, problems)
  return ours
}

const toFloat = {
  F32: (values) => values as Float32Array,
  F64: (values) => Float32Array.from(values as Float64Array),
  F16: (values) => float16ToFloat32(values as Uint16Array),
  BF16: (values) => bfloat16ToFloat32(values as Uint16Array),
} as const satisfies Record<string, (values: ReturnType<typeof safetensorsValues>) => Float32Array>

function toFloat32(tensor: SafetensorsTensor): Float32Array {
  return toFloat[tensor.dtype as keyof typeof toFloat](safetensorsValues(tensor))
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function fail({ layers, width, vocabularySize }: GptConfiguration, problems: readonly string[]): never {
  const shown = problems.slice(0, 5).join('; ')
  throw new TesseraError(
    'HUGGING_FACE_WEIGHTS',
    `Hugging Face weights: the file does not fit its config (${layers} layers, width ${width}, vocabulary ${vocabularySize}): ${shown}` +
      `${problems.length > 5 ? `; and ${problems.length - 5} more` : ''}. Take config.json and model.safetensors from one model.`,
  )
}
