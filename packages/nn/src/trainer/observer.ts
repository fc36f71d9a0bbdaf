import type { EvaluationRecord, StepRecord } from './history.ts'

/** How far a run is. */
export interface Progress {
  /** Updates made so far. */
  readonly step: number
  /** Updates at the end of the run. */
  readonly steps: number
  /** Tokens (or examples) per second over the last steps; `undefined` when the run does not say how many a step has. */
  readonly tokensPerSecond: number | undefined
  /** Until the end, evaluations included; `undefined` before the second step. */
  readonly secondsLeft: number | undefined
}

/**
 * What is told about a run while it goes on. Losses are read one step late, so that the device does not wait; so a record
 * arrives when the next step has begun.
 */
export interface TrainingObserver {
  onStep?(record: StepRecord, progress: Progress): void
  onEvaluation?(record: EvaluationRecord, progress: Progress): void
  /** A checkpoint was saved at this place, with this many updates made. */
  onCheckpoint?(location: string, step: number): void
  /** The run has ended: finished, interrupted or failed. */
  onEnd?(): void
}
