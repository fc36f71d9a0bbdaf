import { TesseraError } from '@tessera/core'
import { parseSafetensors, type SafetensorsFile, serializeSafetensors } from '../safetensors/index.ts'
import type { Checkpoint, CheckpointMetadata } from './checkpoint.ts'

/** The key of a file's free text under which a checkpoint keeps its own, as JSON. */
const metadataKey = 'tessera.checkpoint'
const version = 1

/** The free text of a checkpoint's file. */
export function checkpointText(metadata: CheckpointMetadata): Record<string, string> {
  return { [metadataKey]: JSON.stringify({ version, ...metadata }) }
}

/** A checkpoint as the bytes of a safetensors file. */
export function encodeCheckpoint({ tensors, metadata }: Checkpoint): Uint8Array<ArrayBuffer> {
  return serializeSafetensors(tensors, checkpointText(metadata))
}

/**
 * Reads the bytes of a checkpoint.
 *
 * @throws TesseraError when the file is damaged, or is not a checkpoint of a training run
 */
export function decodeCheckpoint(file: Uint8Array | ArrayBuffer): Checkpoint {
  return checkpointOf(parseSafetensors(file))
}

/** The checkpoint that a safetensors file holds; `location` is for messages. */
export function checkpointOf({ tensors, metadata: text }: SafetensorsFile, location = 'The file'): Checkpoint {
  const invalid = (why: string, cause?: unknown) =>
    new TesseraError('CHECKPOINT_INVALID', `${location} is not a checkpoint that can be used: ${why}.`, { cause })
  const json = text[metadataKey]
  if (json === undefined) {
    throw invalid(
      'it is a safetensors file without the metadata of a training run. To use its tensors alone, read it as safetensors',
    )
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (cause) {
    throw invalid('its metadata is not JSON, so it is damaged. Take an earlier one', cause)
  }
  const metadata = parsed as CheckpointMetadata & { version?: unknown }
  if (typeof metadata !== 'object' || metadata === null || metadata.version !== version) {
    throw invalid(
      `its metadata has version ${JSON.stringify((metadata as { version?: unknown } | null)?.version)}, this program reads version ${version}. Use the version of Tessera that wrote it`,
    )
  }
  if (!Number.isSafeInteger(metadata.step) || metadata.step < 0) {
    throw invalid(
      `its step is ${JSON.stringify(metadata.step)}, not a whole number, so it is damaged. Take an earlier one`,
    )
  }
  const { version: _, ...rest } = metadata
  return { tensors, metadata: rest }
}
