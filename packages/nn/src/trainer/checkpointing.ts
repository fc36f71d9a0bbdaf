import {
  type Checkpoint,
  type CheckpointMetadata,
  captureCheckpoint,
  type JsonValue,
  restoreCheckpoint,
} from '../checkpoints/checkpoint.ts'
import { fromColumns, type History, toColumns } from './history.ts'

/** Where checkpoints go: a file, or whatever else keeps them. */
export interface CheckpointStore {
  /** For messages, for example the path of the file. */
  readonly location: string
  /** Keeps a checkpoint. What was kept before must stay intact until the new one is complete. */
  save(checkpoint: Checkpoint): Promise<void>
}

export interface CheckpointOptions {
  /** Saves after each so many updates, and at the end. */
  readonly every: number
  readonly store: CheckpointStore
  /** What a checkpoint says beside its tensors: configuration, tokenizer, seed, versions. */
  readonly metadata?: Readonly<Record<string, JsonValue>>
}

/** Saves the state of a run. */
export async function saveRun(
  { store, metadata }: CheckpointOptions,
  state: Readonly<Record<string, object>>,
  step: number,
  history: History,
): Promise<void> {
  await store.save(await captureCheckpoint(state, { ...metadata, history: toColumns(history), step }))
}

/**
 * Puts a checkpoint of a run into its model, optimizer and average, and gives what `train` goes on from.
 *
 * @example
 * ```ts sketch
 * const start = resumeRun(checkpoint, { model, optimizer })
 * await train({ model, optimizer, start, ...others })
 * ```
 */
export function resumeRun(
  checkpoint: Checkpoint,
  state: Readonly<Record<string, object>>,
): { readonly step: number; readonly history: History; readonly metadata: CheckpointMetadata } {
  restoreCheckpoint(checkpoint, state)
  const { step, history } = checkpoint.metadata
  return { step, history: fromColumns(history) ?? { steps: [], evaluations: [] }, metadata: checkpoint.metadata }
}
