import type { BenchmarkCase } from '../cases/case.ts'
import { entryLabel, type RegistryEntry } from '../implementations/registry.ts'
import type { Turn } from './alternate.ts'
import { ChildConnection, ChildError } from './child-process.ts'
import { decodeValues, type MeasureOptions } from './protocol.ts'
import { Verifier } from './verifier.ts'

/** Longest wait for one answer; the slowest loops need seconds for a case. */
const timeoutMs = 120_000

/** One implementation in the run: its child process, started again after it dies, and what is known of its results. */
export class Contestant {
  readonly entry: RegistryEntry
  readonly #threads: number
  #connection: ChildConnection
  readonly #verifier = new Verifier({
    prepare: async (benchmarkCase) => {
      const { prepared } = await this.#connection.request('prepare', { case: benchmarkCase })
      return prepared
    },
    output: async (indices) => {
      const { values } = await this.#connection.request('output', { indices: indices ?? null })
      return decodeValues(values)
    },
  })

  private constructor(entry: RegistryEntry, threads: number, connection: ChildConnection) {
    this.entry = entry
    this.#threads = threads
    this.#connection = connection
  }

  /** Starts the child and loads the library. Resolves to the reason when it cannot be used. */
  static async start(
    entry: RegistryEntry,
    threads: number,
  ): Promise<{ contestant: Contestant; version: string } | { reason: string }> {
    if (threads > 1 && entry.singleThreaded !== undefined) return { reason: entry.singleThreaded }
    const connection = connect(entry, threads)
    try {
      const { version, unavailable } = await connection.request('describe', {})
      if (unavailable === undefined) return { contestant: new Contestant(entry, threads, connection), version }
      await connection.close()
      return { reason: unavailable }
    } catch (error) {
      await connection.close()
      return { reason: reasonOf(error) }
    }
  }

  /**
   * Makes the case ready after checking results against float64, of the small cases of its kind and group (once) and of itself.
   * Resolves to the reason when the case cannot be timed, else to undefined.
   */
  async prepare(benchmarkCase: BenchmarkCase): Promise<string | undefined> {
    try {
      return await this.#verifier.prepare(benchmarkCase)
    } catch (error) {
      return await this.#recover(error)
    }
  }

  /** Times of one run of the prepared case in milliseconds, or the reason when it fails. */
  async measure(options: MeasureOptions): Promise<Turn> {
    try {
      return await this.#connection.request('measure', options)
    } catch (error) {
      return { reason: await this.#recover(error) }
    }
  }

  /** Frees what the prepared case holds; a child that dies of it is started again. */
  async release(): Promise<void> {
    try {
      await this.#connection.request('release', {})
    } catch (error) {
      await this.#recover(error)
    }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  /** Starts the child again if it is gone, so that the next case has one. */
  async #recover(error: unknown): Promise<string> {
    if (error instanceof ChildError && !error.alive) {
      this.#connection = connect(this.entry, this.#threads)
      // If this fails as well, the next request says so.
      await this.#connection.request('describe', {}).catch(() => undefined)
    }
    return reasonOf(error)
  }
}

function connect(entry: RegistryEntry, threads: number): ChildConnection {
  return new ChildConnection(entryLabel(entry), entry.launch(threads), timeoutMs)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
