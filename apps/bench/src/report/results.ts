import type { Work } from '../cases/work.ts'
import { summarize } from '../harness/statistics.ts'
import type { CaseResult, Limits } from './report.ts'

/** The times of one implementation in one case. */
export interface Measurement {
  readonly case: string
  readonly work: Work
  readonly implementation: string
  readonly variant: string
  readonly threads: number
  readonly peer: boolean
  readonly samplesMs: readonly number[]
}

/** Turns times into the figures of the report. */
export function computeResults(measurements: readonly Measurement[], limits: Limits): CaseResult[] {
  const summaries = measurements.map((measurement) => ({ measurement, times: summarize(measurement.samplesMs) }))
  const bestPeerMs = new Map<string, number>()
  for (const { measurement, times } of summaries) {
    const best = bestPeerMs.get(measurement.case) ?? Number.POSITIVE_INFINITY
    if (measurement.peer) bestPeerMs.set(measurement.case, Math.min(best, times.median))
  }
  return summaries.map(({ measurement, times }) => {
    const best = bestPeerMs.get(measurement.case)
    return {
      case: measurement.case,
      implementation: measurement.implementation,
      variant: measurement.variant,
      threads: measurement.threads,
      medianMs: times.median,
      minMs: times.min,
      maxMs: times.max,
      gflops: measurement.work.flops / times.median / 1e6,
      shareOfLimit: shortestMs(measurement.work, limits) / times.median,
      ratioToBestPeer: best === undefined ? null : best / times.median,
    }
  })
}

/** Least time that the limits allow for the work, in milliseconds. */
export function shortestMs(work: Work, limits: Limits): number {
  const gflops = Math.max(limits.fma128Gflops, limits.fma256Gflops)
  return Math.max(work.flops / gflops, work.bytes / limits.copyGBs) / 1e6
}
