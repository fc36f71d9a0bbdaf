import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Variant, wasm } from '@tessera/backend-wasm'
import { createRuntime, TesseraError } from '@tessera/core'
import { sparseAttentionWasm } from '@tessera/kernel-sparse-attention/wasm'
import {
  attentionLayers,
  attentionScores,
  countSparseTransformerParameters,
  generateSequences,
  parseAttention,
  type SparseTransformerConfiguration,
  type SparseTransformerOptions,
  type SparseTransformerPreset,
  sparseTransformerPreset,
} from '@tessera/models-gpt'
import { abortOnInterrupt, checkpointFile, terminalProgress } from '@tessera/nn/node'
import { lossChart } from '../flexpoint/charts.ts'
import { loadImages } from '../formats/command.ts'
import { type RunResult, trainOne } from './run.ts'
import { type SampleWriter, writeImages, writeSounds, writeTexts } from './samples.ts'
import { imageSequences, pieces, readAudio, readTextBytes, type Sequences } from './sequences.ts'
import { type AttentionRun, attentionTable } from './table.ts'

export interface SparseOptions {
  readonly attention: string
  readonly preset: SparseTransformerPreset
  readonly layers?: number
  readonly heads?: number
  readonly width?: number
  readonly length?: number
  readonly dropout?: number
  readonly recompute?: boolean
  readonly seed: number
  readonly seeds: number
  readonly steps: number
  readonly minutes?: number
  readonly batch: number
  readonly learningRate: number
  readonly tested: number
  readonly threads?: number
  readonly variant?: Variant
  readonly save?: string
  readonly resume?: boolean
  readonly samples?: string
  readonly sampleCount: number
  readonly temperature: number
  readonly svg?: string
  readonly json?: string
  readonly data?: string
  readonly download?: boolean
}

/** What one of the commands trains on. */
interface Task {
  readonly name: string
  readonly sequences: Sequences
  readonly metric: string
  /** Period for patterns whose sizes are not given. */
  readonly period: number
  readonly writeSamples: SampleWriter
}

export async function runText(options: SparseOptions): Promise<void> {
  const { name, bytes } = await readTextBytes(options)
  const { length, positions } = configurationOf(options)
  const period = positions.kind === 'attention' ? positions.period : 32
  const sequences = pieces(name, bytes, length)
  await runTask({ name: 'sparse-text', sequences, metric: 'bits per byte', period, writeSamples: writeTexts }, options)
}

export async function runImages(options: SparseOptions): Promise<void> {
  const { length } = configurationOf(options)
  if (length !== 3072)
    throw new TesseraError(
      'SPARSE_TASK',
      `Images have 32 × 32 × 3 bytes, the preset ${options.preset} has ${length} positions. Take cifar-small or cifar-10.`,
    )
  const sequences = imageSequences(await loadImages(options))
  // A row of the image.
  const task = { name: 'sparse-images', sequences, metric: 'bits per dimension', period: 96, writeSamples: writeImages }
  await runTask(task, options)
}

export async function runAudio(options: SparseOptions): Promise<void> {
  const { name, bytes, sampleRate } = await readAudio(options)
  const { length, positions } = configurationOf(options)
  const period = positions.kind === 'attention' ? positions.period : 64
  const sequences = pieces(name, bytes, length)
  const writeSamples = writeSounds(sampleRate)
  await runTask({ name: 'sparse-audio', sequences, metric: 'bits per sample', period, writeSamples }, options)
}

/** The preset with what the command line changes. */
function configurationOf(options: SparseOptions, attention = 'dense', period?: number): SparseTransformerConfiguration {
  const { preset, layers, heads, width, length, dropout, recompute } = options
  const given = Object.fromEntries(
    Object.entries({ layers, heads, width, length, dropout, recompute }).filter(([, value]) => value !== undefined),
  ) as Partial<SparseTransformerOptions>
  const base = sparseTransformerPreset(preset)
  const resized = heads !== undefined || width !== undefined
  // Widths of keys and feed-forward layers keep their proportion.
  const inner = resized && {
    keyWidth: Math.max(
      1,
      Math.round(((base.keyWidth * base.heads) / base.width) * ((width ?? base.width) / (heads ?? base.heads))),
    ),
    feedForwardWidth: Math.round((base.feedForwardWidth / base.width) * (width ?? base.width)),
  }
  const changes = { ...given, ...inner }
  const patterns = attentionLayers(parseAttention(attention), length ?? base.length, heads ?? base.heads, period)
  return sparseTransformerPreset(preset, { ...changes, attention: patterns })
}

/** Trains with one kind of attention after the other, each with every seed, and reports what came of it. */
async function runTask(task: Task, options: SparseOptions): Promise<void> {
  const { seed: firstSeed, seeds, save, resume = false, samples, svg, json } = options
  const kinds = options.attention.split(',')
  // What does not fit is said before anything runs.
  const configurations = kinds.map((kind) => configurationOf(options, kind, task.period))
  if (save) await mkdir(save, { recursive: true })
  using interrupt = abortOnInterrupt(() =>
    process.stderr.write('\nSaving after this step. Press Ctrl-C again to stop at once.\n'),
  )
  const runs: AttentionRun[] = []
  for (const [index, kind] of kinds.entries()) {
    const configuration = configurations[index]!
    process.stdout.write(`${describe(kind, configuration)}\n`)
    for (let seed = firstSeed; seed < firstSeed + seeds && !interrupt.signal.aborted; seed++) {
      const name = `${task.name}-${kind.replaceAll(':', '-')}-${seed}`
      // A runtime for each, so that the memory is that of one run.
      const runtime = await openRuntime(options)
      try {
        const { model, ...result } = await trainOne({
          ...options,
          configuration,
          sequences: task.sequences,
          seed,
          signal: interrupt.signal,
          observers: [terminalProgress({ title: `${kind} ${seed}`, unit: 'bytes' })],
          resume,
          ...(save && { checkpoint: checkpointFile(join(save, `${name}.safetensors`)) }),
        })
        const { backend, variant, threads } = runtime.device
        const run = {
          attention: kind,
          seed,
          peakBytes: runtime.device.memory().peakBytes,
          backend,
          variant,
          threads,
          ...result,
        }
        runs.push(run)
        process.stdout.write(`${summary(task, run)}\n`)
        if (samples && !result.interrupted) await drawSamples(task, name, model, options)
      } finally {
        await runtime.close()
      }
    }
  }
  process.stdout.write(`\n${attentionTable(runs, task.metric)}\n`)
  if (save && interrupt.signal.aborted) process.stdout.write(`\nGo on with the same options and --resume.\n`)
  if (svg) {
    const lines = runs.map(({ attention, seed, losses }) => ({ format: attention, seed, losses }))
    await writeFile(svg, await lossChart(lines, { title: `${task.name}: training loss`, legend: 'attention' }))
  }
  if (json) {
    const { steps, minutes, batch, learningRate, tested } = options
    const figures = {
      example: task.name,
      data: task.sequences.name,
      metric: task.metric,
      steps,
      minutes,
      batch,
      learningRate,
      tested,
      configurations,
      runs,
    }
    await writeFile(json, `${JSON.stringify(figures, undefined, 2)}\n`)
  }
}

function openRuntime({ threads, variant = 'wide' }: SparseOptions) {
  const code = variant === 'wide' ? { wide: true } : { variant }
  return createRuntime({ use: [sparseAttentionWasm(), wasm({ ...code, ...(threads !== undefined && { threads }) })] })
}

async function drawSamples(task: Task, name: string, model: RunResult['model'], options: SparseOptions): Promise<void> {
  const { samples: folder, sampleCount, temperature, seed } = options
  const isShown = process.stderr.isTTY
  const { length } = model.configuration
  const sequences = await generateSequences(model, {
    samples: sampleCount,
    temperature,
    seed,
    onProgress: (made) => {
      if (isShown && (made % 100 === 0 || made === length)) process.stderr.write(`\rdrawing: ${made} of ${length}`)
    },
  })
  if (isShown) process.stderr.write('\n')
  await task.writeSamples(folder!, name, sequences)
}

function describe(kind: string, configuration: SparseTransformerConfiguration): string {
  const { layers, heads, width, length } = configuration
  const { scores, denseScores } = attentionScores(configuration, length)
  return (
    `${kind}: ${countSparseTransformerParameters(configuration).toLocaleString('en')} parameters (${layers} layers, ${heads} heads, ${width} wide), ` +
    `${length} positions, 1 / ${(denseScores / scores).toFixed(1)} of the scores of dense attention`
  )
}

function summary(
  { metric }: Task,
  { attention, seed, bits, millisecondsPerStep, seconds, steps, peakBytes, interrupted }: AttentionRun,
): string {
  const parts = [
    interrupted ? `interrupted after ${steps} steps` : `${metric} ${bits.toFixed(4)}`,
    `${steps} steps of ${millisecondsPerStep.toFixed(1)} ms, ${seconds.toFixed(0)} s in all`,
    `device memory at most ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
  ]
  return `${attention.padEnd(8)} seed ${seed}: ${parts.join(', ')}`
}
