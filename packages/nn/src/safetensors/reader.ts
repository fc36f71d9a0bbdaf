import type { SafetensorsDtype } from './dtypes.ts'
import { parseSafetensorsHeader, prefixLength, safetensorsHeaderLength } from './header.ts'

/** One tensor of a file: row-major elements, little-endian. */
export interface SafetensorsTensor {
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  /** The elements as bytes. Not aligned in general: `safetensorsValues` gives numbers. */
  readonly bytes: Uint8Array
}

/** The contents of a safetensors file; `tensors` is in the order of the header. */
export interface SafetensorsFile {
  readonly metadata: Record<string, string>
  readonly tensors: Map<string, SafetensorsTensor>
}

/**
 * Reads a safetensors file (https://huggingface.co/docs/safetensors) from untrusted bytes. Every check is made before
 * anything is allocated, and the tensors are views of the given bytes: nothing is copied.
 *
 * @throws SafetensorsError for every file that does not follow the format exactly
 * @example
 * ```ts no-run
 * const { tensors, metadata } = parseSafetensors(await (await fetch('model.safetensors')).arrayBuffer())
 * const weight = safetensorsValues(tensors.get('embedding.weight')!)
 * ```
 */
export function parseSafetensors(file: Uint8Array | ArrayBuffer): SafetensorsFile {
  // A plain Uint8Array, also of a Node Buffer, whose `slice` would share memory with the file.
  const bytes =
    file instanceof Uint8Array ? new Uint8Array(file.buffer, file.byteOffset, file.length) : new Uint8Array(file)
  const headerLength = safetensorsHeaderLength(bytes, bytes.length)
  const data = bytes.subarray(prefixLength + headerLength)
  const header = parseSafetensorsHeader(bytes.subarray(prefixLength, prefixLength + headerLength), data.length)
  const tensors = new Map<string, SafetensorsTensor>()
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    tensors.set(name, { dtype, shape, bytes: data.subarray(begin, end) })
  }
  return { metadata: header.metadata, tensors }
}
