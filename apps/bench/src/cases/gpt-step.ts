import type { CaseFamily } from './case.ts'
import { tokenInput, uniformInput } from './inputs.ts'

/**
 * One training step of a GPT: forward, cross-entropy, backward, clipping to a global gradient norm, AdamW.
 * Without biases or dropout, with exact GELU and with the output projection tied to the token embedding, as in nanoGPT.
 */
export interface GptStepCase {
  readonly kind: 'gpt-step'
  readonly name: string
  readonly layers: number
  readonly heads: number
  readonly width: number
  readonly context: number
  readonly batch: number
  readonly vocabulary: number
  readonly learningRate: number
  readonly betas: readonly [number, number]
  readonly epsilon: number
  /** Applied to tensors of two dimensions only. */
  readonly weightDecay: number
  readonly clipNorm: number
}

/** nanoGPT's recipe for training on a CPU, https://github.com/karpathy/nanoGPT#readme ("I only have a macbook"). */
const nanoGptCpu: GptStepCase = {
  kind: 'gpt-step',
  name: 'gpt-step/nanogpt-cpu',
  layers: 4,
  heads: 4,
  width: 128,
  context: 64,
  batch: 12,
  vocabulary: 65,
  learningRate: 1e-3,
  betas: [0.9, 0.99],
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
}

/** A GPT large enough that its products fill the machine: nanoGPT's model for Shakespeare's characters, with a smaller batch. */
const sixLayers: GptStepCase = {
  ...nanoGptCpu,
  name: 'gpt-step/gpt-6x384',
  layers: 6,
  heads: 6,
  width: 384,
  context: 256,
  batch: 8,
}

/** How many fixed batches the steps go round. */
export const batchCount = 4

/** Steps from the initial weights whose losses are the output of the case. */
export const checkedSteps = 6

/** One weight of the model: nanoGPT's name, its shape (matrices are [out, in]) and its initial values. */
export interface GptParameter {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/**
 * The initial weights. Matrices are uniform with nanoGPT's standard deviation, 0.02, and 0.02 / √(2 · layers) for the
 * two projections back into the residual stream; layer-norm gains are one.
 */
export function gptParameters(
  benchmarkCase: Pick<GptStepCase, 'layers' | 'width' | 'context' | 'vocabulary'>,
): GptParameter[] {
  const { layers, width, context, vocabulary } = benchmarkCase
  const gain = (name: string): GptParameter => ({ name, shape: [width], values: new Float32Array(width).fill(1) })
  let seed = 100
  const matrix = (name: string, rows: number, columns: number, standardDeviation = 0.02): GptParameter => {
    const scale = standardDeviation * Math.sqrt(3)
    return { name, shape: [rows, columns], values: uniformInput(rows * columns, seed++, scale) }
  }
  const residual = 0.02 / Math.sqrt(2 * layers)
  const parameters = [
    matrix('transformer.wte.weight', vocabulary, width),
    matrix('transformer.wpe.weight', context, width),
  ]
  for (let layer = 0; layer < layers; layer++) {
    const block = `transformer.h.${layer}`
    parameters.push(
      gain(`${block}.ln_1.weight`),
      matrix(`${block}.attn.c_attn.weight`, 3 * width, width),
      matrix(`${block}.attn.c_proj.weight`, width, width, residual),
      gain(`${block}.ln_2.weight`),
      matrix(`${block}.mlp.c_fc.weight`, 4 * width, width),
      matrix(`${block}.mlp.c_proj.weight`, width, 4 * width, residual),
    )
  }
  parameters.push(gain('transformer.ln_f.weight'))
  return parameters
}

/** Batch `index` of {@link batchCount}: input and target tokens, each [batch, context]; targets are the inputs shifted by one. */
export function gptBatch(benchmarkCase: GptStepCase, index: number): { tokens: Int32Array; targets: Int32Array } {
  const { batch, context, vocabulary } = benchmarkCase
  const text = tokenInput(batch * (context + 1), 1000 + index, vocabulary)
  const rows = (offset: number): Int32Array =>
    Int32Array.from({ length: batch * context }, (_, position) => {
      const row = Math.floor(position / context)
      return text[row * (context + 1) + (position % context) + offset]!
    })
  return { tokens: rows(0), targets: rows(1) }
}

function parameterCount({ layers, width, context, vocabulary }: GptStepCase): number {
  return (vocabulary + context) * width + layers * (12 * width * width + 2 * width) + width
}

export const gptStepFamily: CaseFamily<GptStepCase> = {
  kind: 'gpt-step',
  cases: [nanoGptCpu, sixLayers],
  checks: [],
  tolerance: 1e-5,
  work(benchmarkCase) {
    const { layers, width, context, batch, vocabulary } = benchmarkCase
    // Matrix products of one token going forward: four in a block, two in attention (unmasked), one at the output.
    const forward = layers * (24 * width * width + 4 * context * width) + 2 * width * vocabulary
    // Going backward takes two products for each. AdamW reads weight, gradient and two moments and writes three.
    return { flops: 3 * forward * batch * context, bytes: 7 * 4 * parameterCount(benchmarkCase) }
  },
  checkedIndices: () => undefined,
  expected: ({ name }) => Float64Array.from(losses[name]!),
}

/** Losses of the first {@link checkedSteps} steps in float64, from `python3 python/child.py --losses CASE_JSON`. */
const losses: Readonly<Record<string, readonly number[]>> = {
  'gpt-step/nanogpt-cpu': [
    4.221125807767029, 4.215593947545714, 4.207042898240103, 4.210517812532598, 4.102742896274511, 4.076458492517063,
  ],
  'gpt-step/gpt-6x384': [
    4.27199006432894, 4.417816276290062, 4.364376903284584, 4.261510834033189, 4.206267668040207, 4.195272266533282,
  ],
}
