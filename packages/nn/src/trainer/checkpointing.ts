import { type ProgramPolicy, type Tensor, TesseraError, tensor } from '@tessera/core'
import {
  type Checkpoint,
  type CheckpointMetadata,
  captureCheckpoint,
  type JsonValue,
  restoreCheckpoint,
} from '../checkpoints/checkpoint.ts'
import { fromSafetensorsDtype } from '../checkpoints/formats.ts'
import { safetensorsValues } from '../safetensors/index.ts'
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
 * Puts a checkpoint of a run into its model, optimizer, average and policy, and gives what `train` goes on from.
 *
 * @throws TesseraError `CHECKPOINT_MISMATCH` when the checkpoint does not fit, or has nothing of what the policy keeps from step to step
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
  policy?: ProgramPolicy,
): { readonly step: number; readonly history: History; readonly metadata: CheckpointMetadata } {
  const saved = policy?.hasState ? policyState(checkpoint, policy) : undefined
  restoreCheckpoint(checkpoint, state)
  if (saved) policy!.restore!(saved)
  const { step, history } = checkpoint.metadata
  return { step, history: fromColumns(history) ?? { steps: [], evaluations: [] }, metadata: checkpoint.metadata }
}

function policyState({ tensors, metadata }: Checkpoint, { name }: ProgramPolicy): Record<string, Tensor> {
  const saved = [...tensors].flatMap(([path, stored]) => {
    const dtype = path.startsWith('policy.') ? fromSafetensorsDtype(stored.dtype) : undefined
    const values = dtype && (safetensorsValues(stored) as Float32Array)
    return values ? [[path.slice('policy.'.length), tensor(values, stored.shape, dtype)] as const] : []
  })
  if (saved.length > 0 || metadata.step === 0) return Object.fromEntries(saved)
  throw new TesseraError(
    'CHECKPOINT_MISMATCH',
    `The checkpoint has no state of the policy ${name}: the run was saved without it. Go on without it, or put the checkpoint back with no policy and start the policy anew.`,
  )
}
