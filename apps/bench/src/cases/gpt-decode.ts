import type { CaseFamily } from './case.ts'
import { type GptParameter, type GptStepCase, gptParameters } from './gpt-step.ts'
import { uniformInput } from './inputs.ts'

/**
 * One token of a GPT of batch 1, after `past` tokens whose keys and values are given: the logits of the next one. Without biases, with GELU in
 * GPT-2's tanh form and the output projection tied to the token embedding.
 */
export interface GptDecodeCase extends Pick<GptStepCase, 'layers' | 'heads' | 'width' | 'context' | 'vocabulary'> {
  readonly kind: 'gpt-decode'
  readonly name: string
  /** How an implementation may store the matrices: as they are, or in 16 or 8 bits. */
  readonly weights: 'f32' | 'f16' | 'bf16' | 'int8'
  readonly past: number
}

/** The sizes of GPT-2 with 124 million parameters (Radford et al. 2019, table 2). */
const gpt2 = { layers: 12, heads: 12, width: 768, context: 1024, vocabulary: 50257, past: 127 }
const small = { layers: 2, heads: 2, width: 32, context: 16, vocabulary: 48, past: 5 }

const decodeCase = (name: string, sizes: typeof gpt2, weights: GptDecodeCase['weights']): GptDecodeCase => ({
  kind: 'gpt-decode',
  name: `gpt-decode/${name}/${weights}`,
  ...sizes,
  weights,
})

const weightFormats = ['f32', 'f16', 'bf16', 'int8'] as const

/** The token that is read. */
export const decodedToken = 17

/** Keys or values of the text before, of one layer: `[heads, past, width / heads]`. */
export function pastOf({ width, past }: GptDecodeCase, layer: number, which: 'keys' | 'values'): Float32Array {
  return uniformInput(past * width, 5000 + 2 * layer + (which === 'keys' ? 0 : 1))
}

/** nanoGPT's parameters by name; matrices are [out, in]. */
export function decodeParameters(benchmarkCase: GptDecodeCase): Map<string, GptParameter> {
  return new Map(gptParameters(benchmarkCase).map((parameter) => [parameter.name, parameter]))
}

export const gptDecodeFamily: CaseFamily<GptDecodeCase> = {
  kind: 'gpt-decode',
  cases: weightFormats.map((format) => decodeCase('gpt2-124m', gpt2, format)),
  checks: weightFormats.map((format) => decodeCase('small', small, format)),
  group: ({ weights }) => `gpt-decode with ${weights} weights`,
  // Rounding to 8 bits is seen at the output as 1 to 2 percent, to bf16 as some tenths; f32 is right to 1e-6.
  tolerance: 0.03,
  work(benchmarkCase) {
    const { layers, width, vocabulary, past, weights } = benchmarkCase
    const multiplied = layers * 12 * width * width + vocabulary * width
    const perWeight = { f32: 4, f16: 2, bf16: 2, int8: 1 }[weights]
    return {
      flops: 2 * multiplied + layers * 4 * (past + 1) * width,
      bytes: perWeight * multiplied + 4 * 2 * layers * (past + 1) * width,
    }
  },
  checkedIndices: () => undefined,
  expected: expectedLogits,
}

/** The last logits that were computed, for the case of another format or the next implementation. */
let known: { readonly sizes: string; readonly logits: Float64Array } | undefined

function expectedLogits(benchmarkCase: GptDecodeCase): Float64Array {
  const { layers, heads, width, context, vocabulary, past } = benchmarkCase
  const sizes = JSON.stringify([layers, heads, width, context, vocabulary, past])
  if (known?.sizes !== sizes) known = { sizes, logits: decodeInFloat64(benchmarkCase) }
  return known.logits
}

function decodeInFloat64(benchmarkCase: GptDecodeCase): Float64Array {
  const { layers, heads, width, past } = benchmarkCase
  const parameters = decodeParameters(benchmarkCase)
  const named = (name: string): Float32Array => parameters.get(`transformer.${name}.weight`)!.values
  const embedding = named('wte')
  let x = Float64Array.from(
    { length: width },
    (_, i) => embedding[decodedToken * width + i]! + named('wpe')[past * width + i]!,
  )
  const add = (y: Float64Array): void => {
    x = x.map((value, i) => value + y[i]!)
  }
  for (let layer = 0; layer < layers; layer++) {
    const of = (name: string): Float32Array => named(`h.${layer}.${name}`)
    const queryKeyValue = multiply(of('attn.c_attn'), normalized(x, of('ln_1')))
    const [keys, values] = [pastOf(benchmarkCase, layer, 'keys'), pastOf(benchmarkCase, layer, 'values')]
    add(multiply(of('attn.c_proj'), attended(queryKeyValue, keys, values, heads, past)))
    add(multiply(of('mlp.c_proj'), multiply(of('mlp.c_fc'), normalized(x, of('ln_2'))).map(gelu)))
  }
  return multiply(embedding, normalized(x, named('ln_f')))
}

function multiply(matrix: Float32Array, x: Float64Array): Float64Array {
  return Float64Array.from({ length: matrix.length / x.length }, (_, row) => {
    let sum = 0
    for (let i = 0; i < x.length; i++) sum += matrix[row * x.length + i]! * x[i]!
    return sum
  })
}

function normalized(x: Float64Array, gain: Float32Array): Float64Array {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i]!)
}

const gelu = (x: number): number => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))

/** Attention of one query to the past and itself; `all` holds query, key and value of every head. */
function attended(
  all: Float64Array,
  keys: Float32Array,
  values: Float32Array,
  heads: number,
  past: number,
): Float64Array {
  const width = all.length / 3
  const size = width / heads
  const result = new Float64Array(width)
  for (let head = 0; head < heads; head++) {
    const at = (from: Float32Array, own: number, position: number, i: number): number =>
      position < past ? from[(head * past + position) * size + i]! : all[own * width + head * size + i]!
    const scores = Float64Array.from({ length: past + 1 }, (_, position) => {
      let sum = 0
      for (let i = 0; i < size; i++) sum += all[head * size + i]! * at(keys, 1, position, i)
      return Math.exp(sum / Math.sqrt(size))
    })
    const total = scores.reduce((sum, score) => sum + score, 0)
    for (let i = 0; i < size; i++) {
      let sum = 0
      for (let position = 0; position <= past; position++) sum += scores[position]! * at(values, 2, position, i)
      result[head * size + i] = sum / total
    }
  }
  return result
}
