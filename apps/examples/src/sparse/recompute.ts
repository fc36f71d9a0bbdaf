import { writeFile } from 'node:fs/promises'
import { wasm } from '@tessera/backend-wasm'
import { createRuntime, jit, randomKey, type Tensor, TesseraError, tensor, valueAndGrad } from '@tessera/core'
import { strided } from '@tessera/kernel-sparse-attention'
import { sparseAttentionWasm } from '@tessera/kernel-sparse-attention/wasm'
import {
  SparseTransformer,
  type SparseTransformerConfiguration,
  sparseTransformerConfiguration,
} from '@tessera/models-gpt'

export interface RecomputeOptions {
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly length: number
  readonly stride: number
  readonly vocabularySize?: number
  readonly dropout: number
  /** Without fusion every op rounds on its own, and gradients are the same bit for bit. */
  readonly fuse: boolean
  readonly rounds: number
}

export interface RecomputeFigures {
  readonly layers: number
  /** Bytes of temporaries in the plan of a step, with all activations kept and with blocks computed again. */
  readonly kept: number
  readonly recomputed: number
  /** By what factor the memory should go down, see {@link theoreticalFactor}. */
  readonly theory: number
  /** Least milliseconds of a step. */
  readonly keptMilliseconds: number
  readonly recomputedMilliseconds: number
  /** Elements of gradients that differ in some bit, and the largest difference beside the largest element of its gradient. */
  readonly differing: number
  readonly largestDifference: number
}

/**
 * Activations of a block for each position, in units of the width (as Korthikanti et al. 2022, section 4.1, count them): its input, both normed inputs, queries, keys,
 * values, what attention mixed, the middle of the residual stream, and four times the width twice around GELU: 16. Two masks of dropout have a byte for each
 * channel, and norms and attention a few numbers for each position.
 */
function activationsOfBlock({ width, heads, dropout }: SparseTransformerConfiguration): number {
  return 16 + (dropout > 0 ? 2 / 4 : 0) + (4 + heads) / width
}

/** Kept are the activations A of N blocks, N · A; computed again are the inputs of N blocks, and one block at a time: N + A (Chen et al. 2016, section 3). */
export function theoreticalFactor(configuration: SparseTransformerConfiguration): number {
  const { layers } = configuration
  const activations = activationsOfBlock(configuration)
  return (layers * activations) / (layers + activations)
}

/** One training step's gradients of a Sparse Transformer with and without recomputation: memory, time and bits. */
export async function compareRecompute(options: RecomputeOptions): Promise<RecomputeFigures> {
  const { layers, stride, rounds } = options
  const configuration = sparseTransformerConfiguration({
    ...options,
    attention: [strided(stride)],
    positions: { kind: 'attention', period: stride },
  })
  const [kept, again] = [await measure(configuration, false, options), await measure(configuration, true, options)]
  const { differing, largestDifference } = compare(kept.gradients, again.gradients)
  const least = ({ milliseconds }: typeof kept) => (rounds > 0 ? Math.min(...milliseconds) : Number.NaN)
  return {
    layers,
    kept: kept.bytes,
    recomputed: again.bytes,
    theory: theoreticalFactor(configuration),
    keptMilliseconds: least(kept),
    recomputedMilliseconds: least(again),
    differing,
    largestDifference,
  }
}

async function measure(
  configuration: SparseTransformerConfiguration,
  recompute: boolean,
  { fuse, rounds }: RecomputeOptions,
): Promise<{ bytes: number; milliseconds: number[]; gradients: Float32Array[] }> {
  const runtime = await createRuntime({ use: [sparseAttentionWasm(), wasm({ threads: 1 })], fuse })
  try {
    const model = new SparseTransformer({ ...configuration, recompute }, randomKey(1))
    // The output begins at 0, which would leave all other gradients 0.
    model.output.weight = model.tokenEmbedding.weight.transpose()
    for (const weight of Object.values(model.parameters())) weight.realize()
    const { length, vocabularySize } = configuration
    const elements = tensor(
      Int32Array.from({ length }, (_, i) => (i * i) % vocabularySize),
      [1, length],
    )
    const step = jit((model: SparseTransformer, elements: Tensor) =>
      valueAndGrad(model.parameters(), () => model.loss(elements)),
    )
    const { gradients } = step(model, elements)
    const values: Float32Array[] = []
    for (const gradient of Object.values(gradients)) values.push(Float32Array.from(await gradient.data()))
    const milliseconds: number[] = []
    for (let round = 0; round < rounds; round++) {
      const began = performance.now()
      const { value, gradients } = step(model, elements)
      await value.item()
      milliseconds.push(performance.now() - began)
      for (const gradient of Object.values(gradients)) gradient.dispose()
    }
    return { bytes: plannedBytes(step.explain()), milliseconds, gradients: values }
  } finally {
    await runtime.close()
  }
}

function plannedBytes(explanation: string): number {
  const found = /at most ([\d.]+) KiB are in use/.exec(explanation)
  if (!found) throw new TesseraError('RECOMPUTE', 'the plan of the step does not say how much memory is in use.')
  return Number(found[1]) * 1024
}

function compare(one: readonly Float32Array[], other: readonly Float32Array[]) {
  let [differing, largestDifference] = [0, 0]
  one.forEach((values, i) => {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    values.forEach((value, k) => {
      if (Object.is(value, other[i]![k])) return
      differing++
      largestDifference = Math.max(largestDifference, Math.abs(value - other[i]![k]!) / largest)
    })
  })
  return { differing, largestDifference }
}

/** `recompute`: a table for several depths. */
export async function runRecompute({
  layers,
  json,
  ...options
}: Omit<RecomputeOptions, 'layers'> & { readonly layers: string; readonly json?: string }): Promise<void> {
  const depths = layers.split(',').map(Number)
  if (!depths.every((depth) => Number.isSafeInteger(depth) && depth >= 1))
    throw new TesseraError('RECOMPUTE', `--layers takes whole numbers from 1 up, separated by commas; got ${layers}.`)
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  process.stdout.write(
    '| layers | kept, MiB | computed again, MiB | factor | theory | ms | ms again | elements that differ | by at most |\n' +
      '|---|---|---|---|---|---|---|---|---|\n',
  )
  const rows: RecomputeFigures[] = []
  for (const depth of depths) {
    const row = await compareRecompute({ ...options, layers: depth })
    rows.push(row)
    const cells = [
      depth,
      mebibytes(row.kept),
      mebibytes(row.recomputed),
      (row.kept / row.recomputed).toFixed(2),
      row.theory.toFixed(2),
      row.keptMilliseconds.toFixed(1),
      row.recomputedMilliseconds.toFixed(1),
      row.differing,
      row.largestDifference.toExponential(1),
    ]
    process.stdout.write(`| ${cells.join(' | ')} |\n`)
  }
  if (json) await writeFile(json, `${JSON.stringify({ ...options, rows }, undefined, 2)}\n`)
}
