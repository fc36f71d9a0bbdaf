import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { wasm } from '@tessera/backend-wasm'
import { createRuntime } from '@tessera/core'
import { policyOf } from '../formats/policy.ts'
import { lossChart, traceChart } from './charts.ts'
import { makeImages, readCifar } from './data.ts'
import { type RunResult, run } from './run.ts'

export interface FlexpointOptions {
  readonly data?: string
  readonly format: string
  readonly steps: number
  readonly batch: number
  readonly hidden: number
  readonly learningRate: number
  readonly seeds: number
  readonly threads?: number
  readonly svg?: string
  readonly json?: string
}

/** Trains in one format after the other, from the same weights and batches, and reports. */
export async function runFlexpoint(options: FlexpointOptions): Promise<void> {
  const { data: folder, steps, batch, hidden, learningRate, seeds, threads, svg, json } = options
  const formats = options.format.split(',')
  // Names are checked before anything runs.
  for (const format of formats) policyOf(format)
  const runtime = await createRuntime({ use: [wasm({ wide: true, ...(threads !== undefined && { threads }) })] })
  const data = folder ? await readCifar(folder) : makeImages(2000)
  const runs: RunResult[] = []
  for (const format of formats) {
    for (let seed = 1; seed <= seeds; seed++) {
      const result = await run(data, { format, steps, batch, hidden, learningRate, seed })
      runs.push(result)
      process.stdout.write(`${summary(result)}\n`)
    }
  }
  const { backend, variant, threads: used } = runtime.device
  await runtime.close()
  if (svg) {
    await mkdir(svg, { recursive: true })
    await writeFile(join(svg, 'losses.svg'), await lossChart(runs))
    for (const result of runs) {
      if (result.trace.length === 0) continue
      await writeFile(join(svg, `trace-${result.format}-${result.seed}.svg`), await traceChart(result))
    }
  }
  if (json) {
    const figures = {
      example: 'flexpoint',
      backend,
      variant,
      threads: used,
      images: folder ? 'CIFAR-10' : 'made',
      runs,
    }
    await writeFile(json, `${JSON.stringify(figures, undefined, 2)}\n`)
  }
}

function summary({ format, seed, losses, accuracy, millisecondsPerStep, usedBits, overflowShare }: RunResult): string {
  const last = losses.slice(-20)
  const loss = last.reduce((sum, value) => sum + value, 0) / last.length
  const flex =
    usedBits === undefined ? '' : `, ${usedBits.toFixed(1)} bits used, ${(100 * overflowShare!).toFixed(3)} % overflows`
  return (
    `${format.padEnd(9)} seed ${seed}: loss ${loss.toFixed(4)} over the last ${last.length} steps, test accuracy ` +
    `${(100 * accuracy).toFixed(2)} %, ${millisecondsPerStep.toFixed(1)} ms a step${flex}`
  )
}
