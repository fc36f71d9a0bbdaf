import {
  bytePairTokenizerFromGpt2Files,
  bytePairTokenizerToGpt2Files,
  CharacterTokenizer,
  gptConfiguration,
  gptFromCheckpoint,
  huggingFaceConfig,
  parseHuggingFaceConfig,
  tokenizerFromJSON,
  trainBytePairTokenizer,
} from '@tessera/models-gpt'
import { decodeCheckpoint, parseSafetensors, safetensorsValues, serializeSafetensors } from '@tessera/nn'
import { encodeNpy, encodeNpz, type NumpyArray, parseNpy, parseNpz } from '@tessera/nn/interop'
import { dataTargets } from './data-targets.ts'
import { type FuzzTarget, textTarget } from './target.ts'

const text = 'the cat sat on the mat; the dog sat on the log'
const bytePair = () => trainBytePairTokenizer(text, { vocabularySize: 270 })

function safetensorsFiles(): Uint8Array[] {
  return [
    serializeSafetensors({ x: { dtype: 'F32', shape: [2, 3], bytes: new Uint8Array(24) } }, { format: 'pt' }),
    serializeSafetensors({
      a: { dtype: 'U8', shape: [], bytes: new Uint8Array(1) },
      b: { dtype: 'F16', shape: [0, 4], bytes: new Uint8Array(0) },
      c: { dtype: 'I64', shape: [2], bytes: new Uint8Array(16) },
    }),
  ]
}

/** Arrays of several formats and shapes, one without elements. */
function numpyArrays(): NumpyArray[] {
  return [
    { dtype: 'f32', shape: [2, 3], data: new Float32Array(6) },
    { dtype: 'i64', shape: [2], data: new BigInt64Array(2) },
    { dtype: 'u8', shape: [0, 4], data: new Uint8Array(0) },
  ]
}

const json = (value: unknown): string => JSON.stringify(value)

/** Text that is not JSON is refused before the parsers of values get it. */
function parseJson(text: string, parse: (value: unknown) => unknown): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return parse(value)
}

/** Every parser of files that may come from strangers. */
export const targets: readonly FuzzTarget[] = [
  {
    name: 'safetensors',
    seeds: safetensorsFiles,
    dictionary: ['"dtype":"F32"', '"shape":[1]', '"data_offsets":[0,4]', '"__metadata__"'],
    parse: (bytes) => [...parseSafetensors(bytes).tensors.values()].map(safetensorsValues),
  },
  {
    name: 'checkpoint',
    seeds: safetensorsFiles,
    parse: (bytes) => gptFromCheckpoint(decodeCheckpoint(bytes)),
  },
  {
    name: 'npy',
    seeds: () => numpyArrays().map(encodeNpy),
    dictionary: ["'descr': '<f4'", "'fortran_order': True", "'shape': (3,)", "'>c16'", '(9999999999, 9999999999)'],
    parse: parseNpy,
  },
  {
    name: 'npz',
    seeds: () => [encodeNpz(Object.fromEntries(numpyArrays().map((array, i) => [`array${i}`, array])))],
    dictionary: ['PK\u0003\u0004', 'PK\u0001\u0002', 'PK\u0005\u0006'],
    parse: (bytes) => parseNpz(bytes),
  },
  textTarget(
    'hugging-face-config',
    () => [
      json(huggingFaceConfig(gptConfiguration({ layers: 1, heads: 2, width: 8, blockSize: 4, vocabularySize: 16 }))),
    ],
    parseHuggingFaceConfig,
    ['"n_embd":', '"n_inner":', '"n_head":', '"model_type":'],
  ),
  textTarget(
    'tokenizer-json',
    () => [json(bytePair()), json(CharacterTokenizer.fromText(text))],
    (source) => parseJson(source, tokenizerFromJSON),
    ['"merges":', '"tokens":', '"codePoints":', '"specialTokens":'],
  ),
  textTarget(
    'gpt2-vocabulary',
    () => [bytePairTokenizerToGpt2Files(bytePair()).vocabulary],
    (vocabulary) =>
      bytePairTokenizerFromGpt2Files({ vocabulary, merges: bytePairTokenizerToGpt2Files(bytePair()).merges }),
  ),
  textTarget(
    'gpt2-merges',
    () => [bytePairTokenizerToGpt2Files(bytePair()).merges],
    (merges) =>
      bytePairTokenizerFromGpt2Files({ vocabulary: bytePairTokenizerToGpt2Files(bytePair()).vocabulary, merges }),
  ),
  ...dataTargets,
]
