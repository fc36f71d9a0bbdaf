import type { StageReport } from '../pipeline.ts'
import type { Device, DeviceBuffer, Executable } from '../plugin/contract.ts'
import type { Compiled } from '../stages/compiled.ts'
import { formatCallTimes } from './explain.ts'
import { traceCalls } from './trace.ts'

/** The number in the environment variable `TESSERA_DEBUG`, or in a global of that name; 0 without one. */
export function debugLevel(): number {
  const scope = globalThis as { process?: { env?: Record<string, string | undefined> }; TESSERA_DEBUG?: unknown }
  const level = Number(scope.process?.env?.TESSERA_DEBUG ?? scope.TESSERA_DEBUG ?? 0)
  return Number.isInteger(level) && level > 0 ? level : 0
}

/** From level 1 on, a line for each stage of compilation; from level 5 on, the graph that it gave. */
export function debugStages(level: number, log: (line: string) => void): ((report: StageReport) => void) | undefined {
  if (level < 1) return undefined
  return ({ stage, milliseconds, graph }) => {
    log(`tessera: ${stage} ${milliseconds.toFixed(1)} ms`)
    if (level >= 5 && graph) log(graph())
  }
}

/** What a run call by call needs, and where it leaves the times. */
export interface MeasuredProgram {
  readonly compiled: Compiled
  readonly executable: Pick<Executable, 'profile'>
  /** Microseconds of each call in the last run that was measured. */
  measured?: readonly number[]
}

/** Runs call by call, logs what each took beside its estimate, and puts the times into the performance timeline. */
export function reportRun(
  name: string,
  program: MeasuredProgram,
  buffers: readonly DeviceBuffer[],
  device: Device,
  { log }: { readonly log: (line: string) => void },
): Promise<void> {
  const start = performance.now()
  return program.executable.profile(buffers).then(
    (microseconds) => {
      program.measured = microseconds
      log(formatCallTimes(name, program.compiled, device.limits, microseconds))
      if (program.compiled.kind === 'program') traceCalls(name, program.compiled, device, microseconds, start)
    },
    (error) => log(`tessera: ${name} failed: ${error}`),
  )
}
