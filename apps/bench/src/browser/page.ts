/** The page of `npm run bench -- --browser`: times the implementations that run in a browser and shows the figures. */
import { benchmarkCases, familyOf } from '../cases/index.ts'
import { type Alternating, alternate, type Schedule } from '../harness/alternate.ts'
import type { ImplementationResult, NotTimed, Report } from '../report/report.ts'
import { computeResults, type Measurement } from '../report/results.ts'
import { PageContestant, pageEntries } from './contestants.ts'
import { pageLimits, readLimits } from './limits.ts'
import { showProgress, showReport } from './view.ts'

/** What the builder of the page knows. */
declare const fmaModule: string
declare const pageCases: readonly string[]
declare const pageThreads: number
declare const pageSchedule: Schedule

async function run(): Promise<Report> {
  const date = new Date().toISOString()
  const limits = await pageLimits(fmaModule)
  const contestants: PageContestant[] = []
  const implementations: ImplementationResult[] = []
  for (const entry of pageEntries) {
    const { implementation, variant, peer } = entry
    showProgress(`loading ${implementation}/${variant}`)
    const contestant = new PageContestant(entry, pageThreads)
    const unavailable = (await contestant.implementation.available().catch(String)) ?? null
    const version = unavailable === null ? contestant.implementation.version : null
    implementations.push({ implementation, variant, peer, version, unavailable })
    if (unavailable === null) contestants.push(contestant)
  }
  const measurements: Measurement[] = []
  const notTimed: NotTimed[] = []
  const report = (): Report => ({
    machine: {
      processor: 'the processor of this page',
      cores: navigator.hardwareConcurrency,
      memoryGiB: 0,
      system: navigator.platform,
      node: '',
      v8: '',
      browser: browserName(),
      loadAverage: 0,
    },
    date,
    limits: readLimits(limits, pageThreads),
    cases: computeResults(measurements, readLimits(limits, pageThreads)),
    implementations,
    notTimed,
  })
  for (const benchmarkCase of benchmarkCases.filter(({ name }) => pageCases.includes(name))) {
    showProgress(benchmarkCase.name)
    const ready: PageContestant[] = []
    for (const contestant of contestants) {
      const reason = await contestant.prepare(benchmarkCase)
      const { implementation, variant } = contestant.entry
      if (reason === undefined) ready.push(contestant)
      else notTimed.push({ case: benchmarkCase.name, implementation, variant, reason })
    }
    const turns = await alternate<Alternating>([limits.fma, limits.copy, ...ready], pageSchedule)
    for (const contestant of ready) {
      const { implementation, variant, peer } = contestant.entry
      const turn = turns.get(contestant)!
      await contestant.release()
      if ('reason' in turn) {
        notTimed.push({ case: benchmarkCase.name, implementation, variant, reason: turn.reason })
        continue
      }
      const work = familyOf(benchmarkCase).work(benchmarkCase)
      const { samplesMs } = turn
      measurements.push({
        case: benchmarkCase.name,
        work,
        implementation,
        variant,
        threads: pageThreads,
        peer,
        samplesMs,
      })
    }
    showReport(report())
  }
  showProgress('')
  return report()
}

function browserName(): string {
  const { userAgent } = navigator
  return /(Firefox|Edg|Chrome|Version)\/[\d.]+/.exec(userAgent)?.[0].replace('Version', 'Safari') ?? userAgent
}

Object.assign(globalThis, {
  benchmark: run().catch((error) => {
    showProgress(`failed: ${error}`)
    throw error
  }),
})
