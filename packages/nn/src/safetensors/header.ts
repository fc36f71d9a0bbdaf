import { isSafetensorsDtype, type SafetensorsDtype, safetensorsDtypes, safetensorsItemSize } from './dtypes.ts'
import { SafetensorsError, type SafetensorsErrorCode, shown } from './errors.ts'
import { parseStrictJson } from './strict-json.ts'

/** The bytes before the header: its length as a little-endian 64-bit integer. */
export const prefixLength = 8

/** The longest header that is read, in bytes, as in the reference implementation. */
export const maximumHeaderLength = 100_000_000

/** Where one tensor lies: `begin` and `end` are byte offsets into the data that follow the header. */
export interface SafetensorsTensorInfo {
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/** What the header says, checked against the length of the data. */
export interface SafetensorsHeader {
  readonly metadata: Record<string, string>
  readonly tensors: Map<string, SafetensorsTensorInfo>
}

/**
 * Reads the length of the header from the first 8 bytes of a file and checks it, so that a caller may allocate it.
 *
 * @param prefix the first bytes of the file, at least 8 unless the file is shorter
 * @param fileLength the length of the whole file in bytes
 * @throws SafetensorsError when the file is too short for its header or the header is over 100 MB
 */
export function safetensorsHeaderLength(prefix: Uint8Array, fileLength: number): number {
  if (fileLength < prefixLength || prefix.length < prefixLength) {
    throw new SafetensorsError(
      'SAFETENSORS_TRUNCATED',
      `safetensors: the file has ${Math.min(fileLength, prefix.length)} bytes, and its header length alone takes 8. ` +
        'The file is cut off or is not a safetensors file: fetch it again.',
    )
  }
  const declared = new DataView(prefix.buffer, prefix.byteOffset, prefixLength).getBigUint64(0, true)
  if (declared > BigInt(maximumHeaderLength)) {
    throw new SafetensorsError(
      'SAFETENSORS_HEADER_TOO_LARGE',
      `safetensors: the first 8 bytes say that the header has ${declared} bytes, more than the ${maximumHeaderLength} ` +
        'that the format allows. The file is damaged or is not a safetensors file.',
    )
  }
  const length = Number(declared)
  if (length > fileLength - prefixLength) {
    throw new SafetensorsError(
      'SAFETENSORS_TRUNCATED',
      `safetensors: the header should have ${length} bytes, but only ${fileLength - prefixLength} follow its length. ` +
        'The file is cut off or is not a safetensors file: fetch it again.',
    )
  }
  return length
}

/**
 * Parses and checks a header. Nothing is allocated for the data, so a hostile header costs no more than its own text.
 *
 * @param header the bytes of the JSON text, without the 8 bytes of its length
 * @param dataLength how many bytes follow the header in the file
 * @throws SafetensorsError for any header that does not describe exactly these data
 */
export function parseSafetensorsHeader(header: Uint8Array, dataLength: number): SafetensorsHeader {
  const root = parseStrictJson(decodeHeader(header))
  const metadata: Record<string, string> = {}
  const tensors = new Map<string, SafetensorsTensorInfo>()
  for (const [name, value] of Object.entries(root as Record<string, unknown>)) {
    if (name === '__metadata__') {
      Object.assign(metadata, parseMetadata(value))
    } else {
      checkName(name)
      tensors.set(name, parseTensorInfo(name, value))
    }
  }
  checkLayout(tensors, dataLength)
  return { metadata, tensors }
}

/** Refuses names that could reach a prototype when a loader walks a model by the parts of a name. */
export function checkName(name: string): void {
  const segment = name.split('.').find((part) => ['__proto__', 'prototype', 'constructor'].includes(part))
  if (segment !== undefined) {
    fail(
      'SAFETENSORS_NAME_INVALID',
      `the name ${shown(name)} contains ${segment}, which could change the prototype of an object. Rename this tensor.`,
    )
  }
  if (name === '__metadata__') {
    fail('SAFETENSORS_NAME_INVALID', 'the name "__metadata__" is taken by the format. Rename this tensor.')
  }
}

/**
 * The number of elements of a shape, checked: every dimension is an integer from 0 up, and the product is exact.
 *
 * @throws SafetensorsError otherwise
 */
export function elementCount(name: string, shape: unknown): number {
  const isDimension = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
  if (!Array.isArray(shape) || !shape.every(isDimension)) {
    return fail(
      'SAFETENSORS_SHAPE_INVALID',
      `tensor ${shown(name)} has the shape ${shown(shape)}; a shape is a list of integers from 0 to ${Number.MAX_SAFE_INTEGER}.`,
    )
  }
  // Zero dimensions are left out, so that whether a shape overflows does not depend on their place.
  let product = 1
  for (const dimension of shape) {
    if (dimension > 0) product *= dimension
    if (product > Number.MAX_SAFE_INTEGER) {
      fail(
        'SAFETENSORS_SHAPE_INVALID',
        `tensor ${shown(name)} has the shape ${shown(shape)}, more than ${Number.MAX_SAFE_INTEGER} elements. Split it.`,
      )
    }
  }
  return shape.includes(0) ? 0 : product
}

function decodeHeader(header: Uint8Array): string {
  let text: string
  try {
    // A copy: decoders in browsers refuse shared memory.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array(header))
  } catch (cause) {
    return fail(
      'SAFETENSORS_HEADER_INVALID',
      'the header is not valid UTF-8. The file is damaged or is not a safetensors file.',
      cause,
    )
  }
  if (!text.startsWith('{')) {
    fail(
      'SAFETENSORS_HEADER_INVALID',
      `the header must be a JSON object and begin with "{", but it begins with ${shown(text.slice(0, 16))}. ` +
        'The file is damaged or is not a safetensors file.',
    )
  }
  return text
}

function parseMetadata(value: unknown): Record<string, string> {
  if (!isObject(value)) {
    return fail('SAFETENSORS_HEADER_INVALID', `__metadata__ must be an object of strings, not ${shown(value)}.`)
  }
  for (const [key, entry] of Object.entries(value)) {
    if (key === '__proto__') {
      fail('SAFETENSORS_NAME_INVALID', '__metadata__ has the key "__proto__". Rename this key.')
    }
    if (typeof entry !== 'string') {
      fail(
        'SAFETENSORS_HEADER_INVALID',
        `__metadata__ maps ${shown(key)} to ${shown(entry)}, not to a string. Write this value as text.`,
      )
    }
  }
  return value as Record<string, string>
}

function parseTensorInfo(name: string, value: unknown): SafetensorsTensorInfo {
  if (!isObject(value)) {
    return fail(
      'SAFETENSORS_HEADER_INVALID',
      `tensor ${shown(name)} must be described by an object, not ${shown(value)}.`,
    )
  }
  const keys = Object.keys(value).sort().join(', ')
  if (keys !== 'data_offsets, dtype, shape') {
    fail(
      'SAFETENSORS_HEADER_INVALID',
      `tensor ${shown(name)} must be described by dtype, shape and data_offsets; it has ${shown(keys)}.`,
    )
  }
  const { dtype, shape, data_offsets: offsets } = value
  if (!isSafetensorsDtype(dtype)) {
    return fail(
      'SAFETENSORS_DTYPE_UNKNOWN',
      `tensor ${shown(name)} has the dtype ${shown(dtype)}; known are ${safetensorsDtypes.join(', ')}. Convert it first.`,
    )
  }
  const bytes = elementCount(name, shape) * safetensorsItemSize(dtype)
  const isOffset = (entry: unknown) => Number.isSafeInteger(entry) && (entry as number) >= 0
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isOffset) || offsets[0] > offsets[1]) {
    return fail(
      'SAFETENSORS_OFFSETS_INVALID',
      `tensor ${shown(name)} has the data_offsets ${shown(offsets)}; they are two integers [begin, end] with 0 ≤ begin ≤ end.`,
    )
  }
  const [begin, end] = offsets as [number, number]
  if (end - begin !== bytes) {
    fail(
      'SAFETENSORS_SIZE_MISMATCH',
      `tensor ${shown(name)} of shape ${shown(shape)} and dtype ${dtype} takes ${bytes} bytes, but its data_offsets ` +
        `${shown(offsets)} span ${end - begin}. The file is damaged: fetch or write it again.`,
    )
  }
  return { dtype, shape: shape as number[], begin, end }
}

/** The tensors must fill the data exactly: no overlap, no hole, nothing before, nothing after. */
function checkLayout(tensors: Map<string, SafetensorsTensorInfo>, dataLength: number): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  let filled = 0
  for (const [name, { begin, end }] of ordered) {
    if (begin !== filled) {
      fail(
        'SAFETENSORS_OFFSETS_INVALID',
        `tensor ${shown(name)} begins at byte ${begin} of the data, but the tensors before it end at ${filled}: ` +
          `${begin < filled ? 'they overlap' : 'there is a hole'}. The file is damaged: fetch or write it again.`,
      )
    }
    if (end > dataLength) {
      fail(
        'SAFETENSORS_TRUNCATED',
        `tensor ${shown(name)} ends at byte ${end} of the data, but the file holds only ${dataLength}. ` +
          'The file is cut off: fetch it again.',
      )
    }
    filled = end
  }
  if (filled !== dataLength) {
    fail(
      'SAFETENSORS_OFFSETS_INVALID',
      `the tensors take ${filled} bytes, but ${dataLength} follow the header: ${dataLength - filled} bytes belong to no tensor. ` +
        'The file is damaged: fetch or write it again.',
    )
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fail(code: SafetensorsErrorCode, message: string, cause?: unknown): never {
  throw new SafetensorsError(code, `safetensors: ${message}`, { cause })
}
