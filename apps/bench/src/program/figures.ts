/** What `--program --json` writes for each case and variant of Tessera. Times are milliseconds. */
export interface ProgramFigures {
  readonly case: string
  readonly variant: string
  readonly threads: number
  /** The first step: traced, differentiated, compiled and run. */
  readonly firstStepMs: number
  /** Median of later steps. */
  readonly stepMs: number
  /** From the first call to a program that is ready: the first step without the work of a step. */
  readonly readyMs: number
  /** The same once more in the warm process, as another input shape would cost. */
  readonly warmReadyMs: number
  /** Median time of a call of the same step on a device that computes nothing: what a call costs in JavaScript. */
  readonly callMs: number
  /** Memory that is planned for values within a step, and the most bytes of them that are in use at once. */
  readonly plannedBytes: number
  readonly liveBytes: number
  readonly steps: number
  /** Memory in use after a tenth of the steps and after all. */
  readonly deviceBytes: readonly [number, number]
  readonly heapBytes: readonly [number, number]
  readonly residentBytes: readonly [number, number]
}

/** What the child that measures is asked for, as JSON. */
export interface ProgramRequest {
  readonly case: string
  readonly variant: string
  readonly threads: number
  readonly steps: number
}
