import { TesseraError } from '../errors.ts'

/**
 * Names of number formats. Packages add theirs by declaration merging; core ships the ones listed here.
 */
export interface NumberFormats {
  f32: true
  f64: true
  f16: true
  bf16: true
  i32: true
  u32: true
  i16: true
  i8: true
  u8: true
  bool: true
}
export type DType = keyof NumberFormats

/** What a number is, for promotion rules and code generators. */
export type NumberKind = 'float' | 'signed' | 'unsigned' | 'bool'

export interface FormatDescriptor {
  readonly name: DType
  readonly kind: NumberKind
  readonly bits: number
  readonly bytes: number
  /** The typed array that the host sees. f16 and bf16 are stored as their 16 bits. */
  readonly array: ArrayConstructor
}

/** The typed arrays that hold tensor data on the host. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
type ArrayConstructor = {
  new (length: number): TypedArray
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray
  readonly BYTES_PER_ELEMENT: number
}

const descriptor = (name: DType, kind: NumberKind, array: ArrayConstructor): FormatDescriptor => ({
  name,
  kind,
  bits: name === 'bool' ? 1 : array.BYTES_PER_ELEMENT * 8,
  bytes: array.BYTES_PER_ELEMENT,
  array,
})

/** The formats that core ships. A boolean takes one byte, 0 or 1. */
export const coreFormats: readonly FormatDescriptor[] = [
  descriptor('f32', 'float', Float32Array as ArrayConstructor),
  descriptor('f64', 'float', Float64Array as ArrayConstructor),
  descriptor('f16', 'float', Uint16Array as ArrayConstructor),
  descriptor('bf16', 'float', Uint16Array as ArrayConstructor),
  descriptor('i32', 'signed', Int32Array as ArrayConstructor),
  descriptor('u32', 'unsigned', Uint32Array as ArrayConstructor),
  descriptor('i16', 'signed', Int16Array as ArrayConstructor),
  descriptor('i8', 'signed', Int8Array as ArrayConstructor),
  descriptor('u8', 'unsigned', Uint8Array as ArrayConstructor),
  descriptor('bool', 'bool', Uint8Array as ArrayConstructor),
]

const byName = new Map<string, FormatDescriptor>(coreFormats.map((format) => [format.name, format]))

export function formatOf(dtype: DType): FormatDescriptor {
  const format = byName.get(dtype)
  if (!format) {
    throw new TesseraError(
      'UNKNOWN_FORMAT',
      `Number format '${dtype}' is not known. Known: ${[...byName.keys()].join(', ')}.`,
    )
  }
  return format
}

export const isFloat = (dtype: DType): boolean => formatOf(dtype).kind === 'float'
export const isInteger = (dtype: DType): boolean =>
  formatOf(dtype).kind === 'signed' || formatOf(dtype).kind === 'unsigned'

const floatRank: Partial<Record<DType, number>> = { bf16: 1, f16: 1, f32: 2, f64: 3 }
const integerRank: Partial<Record<DType, number>> = { u8: 1, i8: 1, i16: 2, u32: 3, i32: 3 }

/**
 * The format of a binary op on two formats: bool < integers < floats; the wider of two of one kind; f16 with bf16 gives
 * f32; a signed and an unsigned integer give i32.
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a
  if (a === 'bool') return b
  if (b === 'bool') return a
  const aFloat = floatRank[a]
  const bFloat = floatRank[b]
  if (aFloat !== undefined && bFloat !== undefined) return aFloat === bFloat ? 'f32' : aFloat > bFloat ? a : b
  if (aFloat !== undefined) return a
  if (bFloat !== undefined) return b
  const aInteger = integerRank[a] ?? 3
  const bInteger = integerRank[b] ?? 3
  if (formatOf(a).kind === formatOf(b).kind) return aInteger > bInteger ? a : b
  return 'i32'
}
