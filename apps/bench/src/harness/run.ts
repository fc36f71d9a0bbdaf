import type { BenchmarkCase } from '../cases/case.ts'
import { familyOf } from '../cases/index.ts'
import type { RegistryEntry } from '../implementations/registry.ts'
import { describeMachine } from '../report/machine.ts'
import type { ImplementationResult, NotTimed, Report } from '../report/report.ts'
import { computeResults, type Measurement } from '../report/results.ts'
import { type Alternating, alternate, type Schedule, type Turn } from './alternate.ts'
import { Contestant } from './contestant.ts'
import { LimitGauges } from './limits.ts'

export interface RunOptions {
  readonly cases: readonly BenchmarkCase[]
  readonly entries: readonly RegistryEntry[]
  readonly threads: number
  readonly schedule: Schedule
  /** Told what is going on, a line at a time. */
  readonly progress: (line: string) => void
}

/** Times every case with every implementation, each in a process of its own, and the machine's limits in between. */
export async function runBenchmark({ cases, entries, threads, schedule, progress }: RunOptions): Promise<Report> {
  const machine = describeMachine()
  const date = new Date().toISOString()
  const limits = await LimitGauges.start(threads)
  const { contestants, implementations } = await startContestants(entries, threads, progress)
  const measurements: Measurement[] = []
  const notTimed: NotTimed[] = []
  try {
    for (const benchmarkCase of cases) {
      progress(benchmarkCase.name)
      const results = await timeCase(benchmarkCase, contestants, limits, schedule)
      for (const [{ entry }, turn] of results) {
        const { implementation, variant, peer } = entry
        const subject = { case: benchmarkCase.name, implementation, variant }
        if ('reason' in turn) {
          notTimed.push({ ...subject, reason: turn.reason })
        } else {
          const work = familyOf(benchmarkCase).work(benchmarkCase)
          measurements.push({
            ...subject,
            work,
            threads: entry.fixedThreads ?? threads,
            peer,
            samplesMs: turn.samplesMs,
          })
        }
      }
    }
  } finally {
    for (const contestant of contestants) await contestant.close()
    await limits.close()
  }
  const best = limits.read()
  return { machine, date, limits: best, cases: computeResults(measurements, best), implementations, notTimed }
}

/** Loads every implementation; those that cannot be used are told and listed, not timed. */
export async function startContestants(
  entries: readonly RegistryEntry[],
  threads: number,
  progress: (line: string) => void,
): Promise<{ contestants: Contestant[]; implementations: ImplementationResult[] }> {
  const contestants: Contestant[] = []
  const implementations: ImplementationResult[] = []
  for (const entry of entries) {
    const { implementation, variant, peer } = entry
    const started = await Contestant.start(entry, threads)
    if ('reason' in started) {
      progress(`${implementation}/${variant} takes no part: ${started.reason}`)
      implementations.push({ implementation, variant, peer, version: null, unavailable: started.reason })
    } else {
      contestants.push(started.contestant)
      implementations.push({ implementation, variant, peer, version: started.version, unavailable: null })
    }
  }
  return { contestants, implementations }
}

async function timeCase(
  benchmarkCase: BenchmarkCase,
  contestants: readonly Contestant[],
  limits: LimitGauges,
  schedule: Schedule,
): Promise<Map<Contestant, Turn>> {
  const results = new Map<Contestant, Turn>()
  const ready: Contestant[] = []
  for (const contestant of contestants) {
    const reason = await contestant.prepare(benchmarkCase)
    if (reason === undefined) ready.push(contestant)
    else results.set(contestant, { reason })
  }
  const turns = await alternate<Alternating>([...limits.gauges, ...ready], schedule)
  for (const gauge of limits.gauges) {
    const turn = turns.get(gauge)!
    if ('reason' in turn) throw new Error(`the limit ${gauge.loop} can no longer be measured: ${turn.reason}`)
  }
  for (const contestant of ready) {
    results.set(contestant, turns.get(contestant)!)
    await contestant.release()
  }
  return results
}
