/** `npm run bench`: times Tessera and its peers side by side. See `--help`. */
import { writeFile } from 'node:fs/promises'
import { Command, InvalidArgumentError } from 'commander'
import { runInChromium, servePage } from './browser/run.ts'
import { benchmarkCases } from './cases/index.ts'
import type { Schedule } from './harness/alternate.ts'
import { runBenchmark, startContestants } from './harness/run.ts'
import {
  entryLabel,
  type RegistryEntry,
  registry,
  webGpuRegistry,
  withSingleThreadedPeers,
} from './implementations/registry.ts'
import { measureProgram, renderProgramFigures } from './program/measure.ts'
import { renderChart } from './report/chart.ts'
import { renderMarkdown } from './report/markdown.ts'
import { renderTable } from './report/table.ts'
import { selectByGlob } from './select.ts'
import { countUse, renderCounts } from './webgpu/counts.ts'
import { measureHostTime } from './webgpu/host-time.ts'

interface Options {
  readonly filter: readonly string[]
  readonly implementations: readonly string[]
  readonly json?: string
  readonly markdown?: string
  readonly svg?: string
  readonly threads: number
  readonly bestPeers: boolean
  readonly program: boolean
  readonly steps: number
  readonly repeat?: number
  readonly quick: boolean
  readonly webgpu: boolean
  readonly counts: boolean
  readonly hostTime: boolean
  readonly list: boolean
  readonly browser: boolean
  readonly serve: boolean
  readonly screenshot?: string
}

const thorough = { rounds: 12, samples: 3, sampleMs: 5, warmUpMs: 200, turnMs: 1000, budgetMs: 4000 }
const quick = { rounds: 4, samples: 2, sampleMs: 2, warmUpMs: 60, turnMs: 200, budgetMs: 800 }
/** Threads of most pools go to sleep after spinning for less than this. */
const pauseBetweenPoolsMs = 20

const program = new Command('bench')
  .description(
    'Times Tessera and its peers side by side: in turns, each in a process of its own, after checking their results.',
  )
  .option('-f, --filter <glob>', 'cases to time, for example "matmul/{256,512}/N*" (repeatable)', append, [])
  .option('-i, --implementations <glob>', 'implementations to time, for example "tessera/*" (repeatable)', append, [])
  .option('--json <file>', 'write the figures to this file')
  .option('--markdown <file>', 'write the figures to this file as a table for a page')
  .option('--svg <file>', 'draw the figures into this file')
  .option('--threads <count>', 'threads of each implementation', positiveInteger, 1)
  .option('--best-peers', 'with more threads than one: time every peer with one thread as well', false)
  .option(
    '--repeat <rounds>',
    `rounds of turns (default ${thorough.rounds}, with --quick ${quick.rounds})`,
    positiveInteger,
  )
  .option('--quick', 'fewer and shorter samples', false)
  .option('--browser', 'time in a page of headless Chromium instead, which must be installed', false)
  .option('--serve', 'serve that page for a browser of your own', false)
  .option('--screenshot <file>', 'with --browser: a picture of the page at the end')
  .option('--webgpu', 'time the implementations for WebGPU instead', false)
  .option('--counts', 'with --webgpu: count what one run of each case asks of WebGPU instead of timing it', false)
  .option(
    '--host-time',
    'with --webgpu: time what JavaScript does of a training step, on an adapter that computes nothing',
    false,
  )
  .option('--program', 'measure what a training step costs beyond its kernels, and its memory over many steps', false)
  .option('--steps <count>', 'with --program: steps over which memory is watched', positiveInteger, 10_000)
  .option('--list', 'list cases and implementations, time nothing', false)
  .allowExcessArguments(false)
  .action(main)

function append(glob: string, earlier: readonly string[]): string[] {
  return [...earlier, glob]
}

function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Expected a whole number from 1.')
  return value
}

function log(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function main(options: Options): Promise<void> {
  const cases = selectByGlob(benchmarkCases, ({ name }) => name, options.filter)
  const selected = selectByGlob(options.webgpu ? webGpuRegistry : registry, entryLabel, options.implementations)
  const entries = options.bestPeers && options.threads > 1 ? withSingleThreadedPeers(selected) : selected
  if (options.counts) {
    const counts = await countUse(cases, selectByGlob(webGpuRegistry, entryLabel, options.implementations), log)
    console.log(renderCounts(counts))
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(counts, undefined, 2)}\n`)
    return
  }
  if (options.hostTime) {
    for (const benchmarkCase of cases) {
      if (benchmarkCase.kind !== 'gpt-step') continue
      const { minMs, medianMs, dispatches, submits } = await measureHostTime(benchmarkCase)
      const figures = `${medianMs.toFixed(2)} ms (minimum ${minMs.toFixed(2)}), ${dispatches} dispatches, ${submits} submits`
      console.log(`${benchmarkCase.name}: ${figures}`)
    }
    return
  }
  if (options.program) {
    const figures = await measureProgram({
      cases,
      entries,
      threads: options.threads,
      steps: options.steps,
      progress: log,
    })
    console.log(renderProgramFigures(figures))
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
    return
  }
  if (options.list) {
    for (const { name } of cases) console.log(name)
    await listImplementations(entries, options.threads)
    return
  }
  const preset = options.quick ? quick : thorough
  const schedule: Schedule = {
    ...preset,
    rounds: options.repeat ?? preset.rounds,
    pauseMs: options.threads > 1 ? pauseBetweenPoolsMs : 0,
  }
  const names = cases.map(({ name }) => name)
  if (options.serve) {
    console.log(await servePage({ cases: names, threads: options.threads, schedule }))
    return
  }
  const report = options.browser
    ? await runInChromium({ cases: names, threads: options.threads, schedule }, log, options.screenshot)
    : await runBenchmark({ cases, entries, threads: options.threads, schedule, progress: log })
  console.log(renderTable(report))
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
  if (options.markdown !== undefined) await writeFile(options.markdown, renderMarkdown(report))
  if (options.svg !== undefined) await writeFile(options.svg, await renderChart(report))
}

async function listImplementations(entries: readonly RegistryEntry[], threads: number): Promise<void> {
  const { contestants, implementations } = await startContestants(entries, threads, () => undefined)
  for (const contestant of contestants) await contestant.close()
  for (const { implementation, variant, version, unavailable } of implementations) {
    console.log(`${entryLabel({ implementation, variant })} ${version ?? `(not available: ${unavailable})`}`)
  }
}

try {
  await program.parseAsync()
} catch (error) {
  log(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
