import type { BenchmarkCase } from '../cases/case.ts'
import type { Alternating, Turn } from '../harness/alternate.ts'
import { measure } from '../harness/measure.ts'
import type { MeasureOptions } from '../harness/protocol.ts'
import { Verifier } from '../harness/verifier.ts'
import type { Implementation, PreparedCase } from '../implementations/implementation.ts'
import { createJavaScript } from '../implementations/javascript.ts'
import { createJaxJs } from '../implementations/jax-js.ts'
import { createOnnxRuntimeWeb } from '../implementations/onnxruntime.ts'
import { createTessera } from '../implementations/tessera.ts'
import { createTfjs } from '../implementations/tfjs.ts'

/** What takes part in the page. All share it, so those that wait for nothing keep the page from answering meanwhile. */
export const pageEntries = [
  { implementation: 'tessera', variant: 'plain', peer: false, create: createTessera },
  { implementation: 'tessera', variant: 'relaxed', peer: false, create: createTessera },
  { implementation: 'onnxruntime-web', variant: 'wasm', peer: true, create: createOnnxRuntimeWeb },
  { implementation: 'tfjs', variant: 'wasm', peer: true, create: createTfjs },
  { implementation: 'jax-js', variant: 'wasm', peer: true, create: createJaxJs },
  { implementation: 'javascript', variant: 'loops', peer: true, create: createJavaScript },
] as const

export type PageEntry = (typeof pageEntries)[number]

/** One implementation in the page. */
export class PageContestant implements Alternating {
  readonly entry: PageEntry
  readonly implementation: Implementation
  #prepared: PreparedCase | undefined
  readonly #verifier = new Verifier({
    prepare: async (benchmarkCase) => {
      await this.release()
      this.#prepared = await this.implementation.prepare(benchmarkCase)
      return this.#prepared !== undefined
    },
    output: async (indices) => {
      const values = await this.#prepared!.output()
      return indices ? Float32Array.from(indices, (index) => values[index]!) : values
    },
  })

  constructor(entry: PageEntry, threads: number) {
    this.entry = entry
    this.implementation = entry.create({ variant: entry.variant, threads })
  }

  /** Resolves to the reason when the case cannot be timed, else to undefined. */
  async prepare(benchmarkCase: BenchmarkCase): Promise<string | undefined> {
    return this.#verifier.prepare(benchmarkCase).catch((error) => String(error))
  }

  async measure(options: MeasureOptions): Promise<Turn> {
    try {
      return { samplesMs: await measure(this.#prepared!, options) }
    } catch (error) {
      return { reason: String(error) }
    }
  }

  async release(): Promise<void> {
    const prepared = this.#prepared
    this.#prepared = undefined
    await prepared?.dispose?.()
  }
}
