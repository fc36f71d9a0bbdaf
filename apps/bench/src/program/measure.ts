import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Table from 'cli-table3'
import type { BenchmarkCase } from '../cases/case.ts'
import { entryLabel, type RegistryEntry } from '../implementations/registry.ts'
import type { ProgramFigures, ProgramRequest } from './figures.ts'

const childEntry = fileURLToPath(new URL('child.ts', import.meta.url))

interface ProgramOptions {
  readonly cases: readonly BenchmarkCase[]
  readonly entries: readonly RegistryEntry[]
  readonly threads: number
  readonly steps: number
  readonly progress: (line: string) => void
}

/** Measures the training steps among the cases with every variant of Tessera among the entries, each in a new process. */
export async function measureProgram(options: ProgramOptions): Promise<ProgramFigures[]> {
  const { cases, entries, threads, steps, progress } = options
  const figures: ProgramFigures[] = []
  for (const { kind, name } of cases) {
    for (const entry of entries) {
      if (kind !== 'gpt-step' || entry.implementation !== 'tessera') continue
      progress(`${name} ${entryLabel(entry)}`)
      const request: ProgramRequest = { case: name, variant: entry.variant, threads, steps }
      const run = promisify(execFile)(process.execPath, ['--expose-gc', childEntry, JSON.stringify(request)])
      figures.push(JSON.parse((await run).stdout) as ProgramFigures)
    }
  }
  return figures
}

/** The figures as text for a terminal. */
export function renderProgramFigures(figures: readonly ProgramFigures[]): string {
  const names = figures.map(({ case: name, variant, threads }) => `${name}\n${variant}, threads: ${threads}`)
  const table = new Table({
    head: ['', ...names],
    colAligns: ['left', ...names.map(() => 'right' as const)],
    style: { head: [], border: [], compact: true },
  })
  const rows: readonly (readonly [string, (each: ProgramFigures) => string])[] = [
    ['first step, ms', ({ firstStepMs }) => firstStepMs.toFixed(0)],
    ['later steps, ms', ({ stepMs }) => stepMs.toFixed(1)],
    ['trace to ready, ms', ({ readyMs }) => readyMs.toFixed(0)],
    ['the same for another shape, ms', ({ warmReadyMs }) => warmReadyMs.toFixed(0)],
    ['call without the device, ms', ({ callMs }) => callMs.toFixed(3)],
    ['planned memory, MB', ({ plannedBytes }) => megabytes(plannedBytes)],
    ['planned / live', ({ plannedBytes, liveBytes }) => (plannedBytes / liveBytes).toFixed(3)],
    ['steps of a small model', ({ steps }) => `${steps}`],
    ['device memory, MB', ({ deviceBytes }) => deviceBytes.map(megabytes).join(' → ')],
    ['heap after collection, MB', ({ heapBytes }) => heapBytes.map(megabytes).join(' → ')],
    ['resident, MB', ({ residentBytes }) => residentBytes.map(megabytes).join(' → ')],
  ]
  for (const [label, text] of rows) table.push([label, ...figures.map(text)])
  return table.toString()
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)
