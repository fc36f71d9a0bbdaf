import { existsSync } from 'node:fs'
import { randomKey, type Tensor, TesseraError } from '@tessera/core'
import { SparseTransformer, type SparseTransformerConfiguration } from '@tessera/models-gpt'
import {
  AdamW,
  evaluate,
  evaluationStep,
  type JsonValue,
  resumeRun,
  type TrainingObserver,
  train,
  warmUpCosine,
} from '@tessera/nn'
import { type Dataset, Loader } from '@tessera/nn/data'
import { type CheckpointFile, loadCheckpoint } from '@tessera/nn/node'
import type { Sequences } from './sequences.ts'

export interface RunOptions {
  readonly configuration: SparseTransformerConfiguration
  readonly sequences: Sequences
  readonly seed: number
  /** Updates; with `minutes` those that fit into them, by the time of the first ones. */
  readonly steps: number
  readonly minutes?: number
  readonly batch: number
  readonly learningRate: number
  /** Sequences of the test that are looked at. */
  readonly tested: number
  readonly signal: AbortSignal
  readonly observers: readonly TrainingObserver[]
  readonly checkpoint?: CheckpointFile
  readonly resume?: boolean
}

export interface RunResult {
  readonly model: SparseTransformer
  /** Of the training batches, in nats. */
  readonly losses: readonly number[]
  /** Of the test, for each byte. */
  readonly bits: number
  readonly millisecondsPerStep: number
  readonly seconds: number
  readonly steps: number
  readonly interrupted: boolean
}

type Batch = { readonly elements: Tensor }

/** Trains one model as Child et al. 2019, section 6, do: Adam with warm-up, then a cosine, gradients clipped at 1, weight decay 0.01. */
export async function trainOne(options: RunOptions): Promise<RunResult> {
  const { configuration, sequences, seed, batch, learningRate, signal, observers, checkpoint, resume } = options
  const saved =
    checkpoint && resume && existsSync(checkpoint.location) ? await loadCheckpoint(checkpoint.location) : undefined
  const settings = { configuration, data: sequences.name, seed, batch, learningRate } as unknown as JsonValue
  if (saved && JSON.stringify(saved.metadata.settings) !== JSON.stringify(settings))
    throw new TesseraError(
      'RUN_SETTINGS',
      `${checkpoint!.location} was made with ${JSON.stringify(saved.metadata.settings)}, and this run has ${JSON.stringify(settings)}. Give the same options, or another folder with --save.`,
    )
  const steps = (saved?.metadata.steps as number | undefined) ?? (await stepsOf(options))
  const { model, optimizer } = make(options, steps)
  const start = saved && resumeRun(saved, { model, optimizer })
  const began = performance.now()
  const result = await train({
    model,
    optimizer,
    loss,
    batch: batches(sequences.training.shuffle(seed), batch, steps),
    steps,
    maximumGradientNorm: 1,
    tokensPerStep: batch * configuration.length,
    signal,
    observers,
    ...(start && { start }),
    ...(checkpoint && { checkpoints: { every: 200, store: checkpoint, metadata: { settings, steps } } }),
  })
  const seconds = (performance.now() - began) / 1000
  return {
    model,
    losses: result.history.steps.map(({ loss }) => loss),
    bits: result.interrupted ? Number.NaN : await testBits(model, sequences, options.tested),
    millisecondsPerStep: result.millisecondsPerStep,
    seconds,
    steps: result.step,
    interrupted: result.interrupted,
  }
}

const loss = (model: SparseTransformer, { elements }: Batch): Tensor => model.loss(elements)

function batches(data: Dataset<Int32Array>, batch: number, steps: number): (step: number) => Promise<Batch> {
  const loader = new Loader(
    data
      .map((elements) => ({ elements }))
      .batch(batch)
      .tensors(),
    { steps, prefetch: 1 },
  )
  return loader.at as (step: number) => Promise<Batch>
}

function make({ configuration, seed, learningRate }: RunOptions, steps: number) {
  const model = new SparseTransformer(configuration, randomKey(seed))
  const warmUpSteps = Math.min(5000, Math.ceil(steps / 10))
  const schedule = warmUpCosine({ peak: learningRate, minimum: learningRate / 100, warmUpSteps, steps })
  return { model, optimizer: new AdamW(model, { learningRate: schedule, weightDecay: 0.01 }) }
}

/** As many steps as fit into the time, judged by some that are thrown away. */
async function stepsOf(options: RunOptions): Promise<number> {
  const { minutes, steps, sequences, seed, batch } = options
  if (minutes === undefined) return steps
  const trial = 5
  const { millisecondsPerStep } = await train({
    ...make(options, trial),
    loss,
    batch: batches(sequences.training.shuffle(seed), batch, trial),
    steps: trial,
    maximumGradientNorm: 1,
    signal: options.signal,
  })
  return Math.max(1, Math.floor((60_000 * minutes) / millisecondsPerStep))
}

/** Mean bits for each byte of the first sequences of the test, the same ones in every run. */
async function testBits(model: SparseTransformer, { test }: Sequences, count: number): Promise<number> {
  const some = Math.min(count, test.length)
  const nats = await evaluate(model, evaluationStep(loss), { batches: some, batch: batches(test, 1, some) })
  return nats! / Math.LN2
}
