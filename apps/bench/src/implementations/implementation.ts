import type { BenchmarkCase } from '../cases/case.ts'

/** A case made ready: its inputs lie in the implementation's own tensors. */
export interface PreparedCase {
  /** Does the work once, so that the result could feed a next op; it is not copied to JavaScript. */
  run(): void | Promise<void>
  /** Waits for work that `run` has only submitted; called once at the end of every sample. */
  settle?(): Promise<void>
  /** The result of the case from its initial state, row-major; called at most once, before any `run`. */
  output(): Promise<Float32Array>
  /** Releases what the case holds. */
  dispose?(): void | Promise<void>
}

/** One library in one child process. */
export interface Implementation {
  readonly name: string
  /** Version of the library; known once {@link Implementation.available} has resolved to undefined. */
  readonly version: string
  /** Loads the library. Resolves to the reason when it cannot be used here, else to undefined. */
  available(): Promise<string | undefined>
  /** Undefined when the implementation has no way to do this case. */
  prepare(benchmarkCase: BenchmarkCase): Promise<PreparedCase | undefined>
}

export interface ImplementationOptions {
  /** What the registry distinguishes beyond the library, such as `wide` or `relaxed`. */
  readonly variant: string
  readonly threads: number
}
