import { uniformInput } from '../cases/inputs.ts'
import { copyBytes, copySeed, fmaAccumulators, fmaIterations, fmaProduct } from '../cases/limits.ts'
import type { Alternating, Turn } from '../harness/alternate.ts'
import { measure } from '../harness/measure.ts'
import type { MeasureOptions } from '../harness/protocol.ts'
import type { Limits } from '../report/report.ts'

/** One of the two loops that reach a limit of one thread. */
export class PageLimit implements Alternating {
  /** Shortest time of one run. */
  bestMs = Number.POSITIVE_INFINITY
  readonly #run: () => void

  constructor(run: () => void) {
    this.#run = run
  }

  async measure(options: MeasureOptions): Promise<Turn> {
    const samplesMs = await measure({ run: this.#run, output: async () => new Float32Array() }, options)
    this.bestMs = Math.min(this.bestMs, ...samplesMs)
    return { samplesMs }
  }
}

/** @param moduleText the loop of multiply-adds as WebAssembly, base64 */
export async function pageLimits(moduleText: string): Promise<{ readonly fma: PageLimit; readonly copy: PageLimit }> {
  const bytes = Uint8Array.from(atob(moduleText), (character) => character.charCodeAt(0))
  const { instance } = await WebAssembly.instantiate(bytes)
  const run = instance.exports.run as (iterations: number) => void
  const { buffer } = instance.exports.memory as WebAssembly.Memory
  new Float32Array(buffer, 0, 16).set([...Array<number>(8).fill(fmaProduct), ...Array<number>(8).fill(1)])
  const source = uniformInput(copyBytes / 4, copySeed)
  const target = new Float32Array(source.length)
  return { fma: new PageLimit(() => run(fmaIterations)), copy: new PageLimit(() => target.set(source)) }
}

/** What so many threads could do at most: that of one, times their number; memory is shared. Browsers have no 256 bits. */
export function readLimits({ fma, copy }: { fma: PageLimit; copy: PageLimit }, threads: number): Limits {
  return {
    threads,
    fma128Gflops: (threads * 2 * 4 * fmaAccumulators['fma-128'] * fmaIterations) / fma.bestMs / 1e6,
    fma256Gflops: 0,
    copyGBs: (2 * copyBytes) / copy.bestMs / 1e6,
  }
}
