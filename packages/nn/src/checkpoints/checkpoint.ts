import { type Tensor, TesseraError, tensor } from '@tessera/core'
import { type PlacedTensor, replaceTensor, stateOf } from '../modules/places.ts'
import { type SafetensorsTensor, safetensorsValues } from '../safetensors/index.ts'
import { fromSafetensorsDtype, toSafetensorsDtype } from './formats.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** What a checkpoint says beside its tensors. */
export interface CheckpointMetadata {
  /** Updates made so far. */
  readonly step: number
  /** What the caller adds: configuration, tokenizer, seed, versions. */
  readonly [key: string]: JsonValue
}

/** The state of a training run, on the host. */
export interface Checkpoint {
  /** By dotted path, for example `model.blocks.0.weight` and `optimizer.step`. Tied tensors stand under their first path. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>
  readonly metadata: CheckpointMetadata
}

/**
 * Copies every tensor of a state to the host: parameters, buffers, the random keys of dropout, the optimizer's moments and
 * step. Nothing else is needed to go on bit for bit, given the same batches.
 *
 * @param state what to save, by part, for example `{ model, optimizer }`
 */
export async function captureCheckpoint(
  state: Readonly<Record<string, object>>,
  metadata: CheckpointMetadata,
): Promise<Checkpoint> {
  const tensors = new Map<string, SafetensorsTensor>()
  for (const { name, tensor } of stateOf(state)) {
    const dtype = toSafetensorsDtype(tensor.dtype)
    if (!dtype) {
      throw new TesseraError(
        'CHECKPOINT_FORMAT',
        `${name} has the number format ${tensor.dtype}, which safetensors files do not know. Cast it, for example to f32, before saving.`,
      )
    }
    const values = await tensor.data()
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    tensors.set(name, { dtype, shape: tensor.shape, bytes })
  }
  return { tensors, metadata }
}

/**
 * Puts the tensors of a checkpoint into a state of the same structure. Parts of the checkpoint that the state does not have
 * are left alone: `{ model }` takes the model out of a checkpoint of a whole run. Checks everything before it changes
 * anything.
 *
 * @throws TesseraError when tensors are missing, unexpected, or of another shape or number format
 */
export function restoreCheckpoint(checkpoint: Checkpoint, state: Readonly<Record<string, object>>): void {
  const placed = stateOf(state)
  checkNames(checkpoint, state, placed)
  // Tensors that happened to be tied at first, like the random keys of two modules, may have been saved as different ones.
  const entries = placed.flatMap(({ name, tensor, places }) => {
    const separate = places.slice(1).filter((place) => checkpoint.tensors.has(place.name))
    const together = places.filter((place) => !separate.includes(place))
    return [
      { name, tensor, places: together },
      ...separate.map((place) => ({ name: place.name, tensor, places: [place] })),
    ]
  })
  const wrong = entries.flatMap(({ name, tensor }) => {
    const found = describeFound(checkpoint.tensors.get(name)!)
    const expected = describeExpected(tensor)
    return found === expected ? [] : [`${name} is ${found} in the checkpoint and ${expected} here`]
  })
  if (wrong.length > 0) {
    throw mismatch(`${some(wrong, '; ')}. Make the model with the configuration that the checkpoint was saved with.`)
  }
  for (const entry of entries) {
    const found = checkpoint.tensors.get(entry.name)!
    const { shape, dtype } = entry.tensor
    replaceTensor(entry, tensor(safetensorsValues(found) as Float32Array, shape, dtype))
  }
}

function checkNames(checkpoint: Checkpoint, state: object, placed: readonly PlacedTensor[]): void {
  const expected = placed.map(({ name }) => name)
  const known = new Set(placed.flatMap(({ places }) => places.map(({ name }) => name)))
  const parts = new Set(Object.keys(state))
  const missing = expected.filter((name) => !checkpoint.tensors.has(name))
  const unexpected = [...checkpoint.tensors.keys()].filter(
    (name) => parts.has(name.split('.', 1)[0]!) && !known.has(name),
  )
  if (missing.length === 0 && unexpected.length === 0) return
  const problems = [
    missing.length > 0 ? `it lacks ${some(missing)}` : '',
    unexpected.length > 0 ? `it has ${some(unexpected)}, which nothing here takes` : '',
  ]
  throw mismatch(
    `${problems.filter(Boolean).join('; ')}. Make the model and the optimizer with the configuration that the checkpoint was saved with.`,
  )
}

function mismatch(what: string): TesseraError {
  return new TesseraError('CHECKPOINT_MISMATCH', `The checkpoint does not fit: ${what}`)
}

function describeFound({ dtype, shape }: SafetensorsTensor): string {
  return `${fromSafetensorsDtype(dtype) ?? dtype}[${shape.join(', ')}]`
}

function describeExpected({ dtype, shape }: Tensor): string {
  return `${dtype}[${shape.join(', ')}]`
}

/** The first few of many. */
function some(items: readonly string[], separator = ', '): string {
  const shown = items.slice(0, 5).join(separator)
  return items.length > 5 ? `${shown} and ${items.length - 5} more` : shown
}
