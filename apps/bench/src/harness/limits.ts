import { limitFamily } from '../cases/limits.ts'
import { limitEntries } from '../implementations/registry.ts'
import type { Limits } from '../report/report.ts'
import type { Alternating, Turn } from './alternate.ts'
import { Contestant } from './contestant.ts'
import type { MeasureOptions } from './protocol.ts'

type Loop = (typeof limitFamily.cases)[number]['loop']

/** One limiting loop, on as many processes at once as the implementations have threads. */
class LimitGauge implements Alternating {
  readonly loop: Loop
  /** Shortest time of one run per process, all processes together. */
  bestMs = Number.POSITIVE_INFINITY
  readonly #contestants: readonly Contestant[]

  constructor(loop: Loop, contestants: readonly Contestant[]) {
    this.loop = loop
    this.#contestants = contestants
  }

  async measure(options: MeasureOptions): Promise<Turn> {
    const turns = await Promise.all(this.#contestants.map((contestant) => contestant.measure(options)))
    const failure = turns.find((turn) => 'reason' in turn)
    if (failure) return failure
    const samplesMs = combineTimes(turns.map((turn) => ('samplesMs' in turn ? turn.samplesMs : [])))
    this.bestMs = Math.min(this.bestMs, ...samplesMs)
    return { samplesMs }
  }

  async close(): Promise<void> {
    await Promise.all(this.#contestants.map((contestant) => contestant.close()))
  }
}

/** Processes at work together do as much as one whose rate is the sum of theirs: 1 / Σ 1/t, sample by sample. */
export function combineTimes(times: readonly (readonly number[])[]): number[] {
  const samples = Math.min(...times.map((series) => series.length))
  return Array.from({ length: samples }, (_, index) => 1 / times.reduce((sum, series) => sum + 1 / series[index]!, 0))
}

/** Measures the machine's limits, in turns with the implementations. */
export class LimitGauges {
  readonly gauges: readonly LimitGauge[]
  readonly #threads: number

  private constructor(gauges: readonly LimitGauge[], threads: number) {
    this.gauges = gauges
    this.#threads = threads
  }

  /** Starts and checks the loops. Throws when one cannot run, for without limits no share can be given. */
  static async start(threads: number): Promise<LimitGauges> {
    const gauges: LimitGauge[] = []
    for (const [index, entry] of limitEntries.entries()) {
      const limitCase = limitFamily.cases[index]!
      const contestants: Contestant[] = []
      for (let thread = 0; thread < threads; thread++) {
        const started = await Contestant.start(entry, 1)
        if ('reason' in started) throw new Error(`${limitCase.name}: ${started.reason}`)
        const reason = await started.contestant.prepare(limitCase)
        if (reason !== undefined) throw new Error(`${limitCase.name}: ${reason}`)
        contestants.push(started.contestant)
      }
      gauges.push(new LimitGauge(limitCase.loop, contestants))
    }
    return new LimitGauges(gauges, threads)
  }

  /** The best figures so far. */
  read(): Limits {
    const rate = (loop: Loop, amount: 'flops' | 'bytes'): number => {
      const work = limitFamily.work(limitFamily.cases.find((limitCase) => limitCase.loop === loop)!)
      return work[amount] / this.gauges.find((gauge) => gauge.loop === loop)!.bestMs / 1e6
    }
    return {
      threads: this.#threads,
      fma128Gflops: rate('fma-128', 'flops'),
      fma256Gflops: rate('fma-256', 'flops'),
      copyGBs: rate('copy', 'bytes'),
    }
  }

  async close(): Promise<void> {
    for (const gauge of this.gauges) await gauge.close()
  }
}
