import { isSafetensorsDtype, type SafetensorsDtype, safetensorsDtypes, safetensorsItemSize } from './dtypes.ts'
import { SafetensorsError, shown } from './errors.ts'
import { checkName, elementCount, maximumHeaderLength, prefixLength } from './header.ts'

/** One tensor to write: row-major elements, little-endian, in any view of memory. */
export interface SafetensorsInput {
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  readonly bytes: ArrayBufferView
}

/** Tensors by name. */
export type SafetensorsInputs =
  | Iterable<readonly [string, SafetensorsInput]>
  | Readonly<Record<string, SafetensorsInput>>

/**
 * The bytes of a safetensors file in pieces: the header, then the data of each tensor, as views. Writing them one after
 * another needs no second copy of the data. The order depends on the contents alone: wider elements first, so that
 * every tensor is aligned, then by name, as in the reference implementation.
 *
 * @throws SafetensorsError at the call, before the first piece, for a tensor that cannot be described
 */
export function safetensorsChunks(
  tensors: SafetensorsInputs,
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array, void, undefined> {
  const entries = [...(Symbol.iterator in tensors ? tensors : Object.entries(tensors))] as [string, SafetensorsInput][]
  for (const [name, tensor] of entries) checkInput(name, tensor)
  entries.sort(
    ([nameA, a], [nameB, b]) =>
      safetensorsItemSize(b.dtype) - safetensorsItemSize(a.dtype) || compareNames(nameA, nameB),
  )
  const header = encodeHeader(entries, metadata)
  return (function* () {
    yield header
    for (const [, { bytes }] of entries) yield new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  })()
}

/**
 * Writes a safetensors file into memory.
 *
 * @param tensors tensors by name; the length of each must be the product of its shape times its element size
 * @param metadata free text by key, under `__metadata__`
 * @throws SafetensorsError for a tensor that cannot be described
 * @example
 * ```ts
 * const bytes = serializeSafetensors({ bias: { dtype: 'F32', shape: [2], bytes: new Float32Array([1, 2]) } })
 * parseSafetensors(bytes).tensors.get('bias')?.shape // [2]
 * ```
 */
export function serializeSafetensors(
  tensors: SafetensorsInputs,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const chunks = [...safetensorsChunks(tensors, metadata)]
  const file = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0))
  let position = 0
  for (const chunk of chunks) {
    file.set(chunk, position)
    position += chunk.length
  }
  return file
}

function encodeHeader(entries: readonly [string, SafetensorsInput][], metadata: Readonly<Record<string, string>>) {
  const fields: string[] = []
  const names = new Set<string>()
  if (Object.keys(metadata).length > 0) fields.push(`"__metadata__":${encodeMetadata(metadata)}`)
  let begin = 0
  for (const [name, { dtype, shape, bytes }] of entries) {
    if (names.has(name)) {
      throw new SafetensorsError(
        'SAFETENSORS_NAME_INVALID',
        `safetensors: two tensors are called ${shown(name)}. Give each a name of its own.`,
      )
    }
    names.add(name)
    const end = begin + bytes.byteLength
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`)
    begin = end
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`)
  // Spaces after the JSON text keep the data aligned to 8 bytes.
  const length = Math.ceil(json.length / 8) * 8
  if (length > maximumHeaderLength) {
    throw new SafetensorsError(
      'SAFETENSORS_HEADER_TOO_LARGE',
      `safetensors: the header of ${entries.length} tensors takes ${length} bytes, more than the ${maximumHeaderLength} ` +
        'that the format allows. Write several files or shorten the metadata.',
    )
  }
  const header = new Uint8Array(prefixLength + length).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, prefixLength)
  return header
}

function encodeMetadata(metadata: Readonly<Record<string, string>>): string {
  const entries = Object.entries(metadata).sort(([a], [b]) => compareNames(a, b))
  for (const [key, value] of entries) {
    if (typeof value !== 'string' || key === '__proto__' || !key.isWellFormed() || !value.isWellFormed()) {
      throw new SafetensorsError(
        'SAFETENSORS_HEADER_INVALID',
        `safetensors: the metadata ${shown(key)}: ${shown(value)} cannot be written. Use well-formed text, and a key other than "__proto__".`,
      )
    }
  }
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`
}

function checkInput(name: string, { dtype, shape, bytes }: SafetensorsInput): void {
  checkName(name)
  if (!name.isWellFormed()) {
    throw new SafetensorsError(
      'SAFETENSORS_NAME_INVALID',
      `safetensors: the name ${shown(name)} holds half a surrogate pair, which UTF-8 cannot express. Rename this tensor.`,
    )
  }
  if (!isSafetensorsDtype(dtype)) {
    throw new SafetensorsError(
      'SAFETENSORS_DTYPE_UNKNOWN',
      `safetensors: tensor ${shown(name)} has the dtype ${shown(dtype)}; known are ${safetensorsDtypes.join(', ')}.`,
    )
  }
  const expected = elementCount(name, shape) * safetensorsItemSize(dtype)
  if (bytes.byteLength !== expected) {
    throw new SafetensorsError(
      'SAFETENSORS_SIZE_MISMATCH',
      `safetensors: tensor ${shown(name)} of shape ${shown(shape)} and dtype ${dtype} takes ${expected} bytes, ` +
        `but ${bytes.byteLength} were given. Correct the shape or the dtype.`,
    )
  }
}

/** Orders text the same way on every machine, unlike `localeCompare`. */
function compareNames(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
