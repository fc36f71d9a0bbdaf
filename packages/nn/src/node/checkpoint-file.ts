import type { Checkpoint } from '../checkpoints/checkpoint.ts'
import { checkpointOf, checkpointText } from '../checkpoints/encoding.ts'
import { readSafetensorsFile, writeSafetensorsFile } from '../safetensors/node-files.ts'
import type { CheckpointStore } from '../trainer/checkpointing.ts'

/** Checkpoints of one run in one file, which always holds the last complete one. */
export interface CheckpointFile extends CheckpointStore {
  load(): Promise<Checkpoint>
}

/**
 * A file for the checkpoints of a run. It is written under another name, flushed to the disk and then renamed, so that
 * neither a crash nor a full disk harms the last checkpoint.
 *
 * @example
 * ```ts sketch
 * const store = checkpointFile('run.safetensors')
 * await train({ model, optimizer, checkpoints: { every: 500, store }, ...others })
 * const start = resumeRun(await store.load(), { model, optimizer })
 * ```
 */
export function checkpointFile(path: string): CheckpointFile {
  return {
    location: path,
    save: (checkpoint) => saveCheckpoint(path, checkpoint),
    load: () => loadCheckpoint(path),
  }
}

/** Writes a checkpoint; what the path held before is replaced only when all is written. */
export async function saveCheckpoint(path: string, { tensors, metadata }: Checkpoint): Promise<void> {
  await writeSafetensorsFile(path, tensors, checkpointText(metadata))
}

/**
 * Reads a checkpoint.
 *
 * @throws an error that names the path when the file is missing, truncated, damaged or not a checkpoint
 */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  return checkpointOf(await readSafetensorsFile(path), path)
}
