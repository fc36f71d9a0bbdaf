import { TesseraError } from '../../errors.ts'
import { type DType, formatOf, type TypedArray } from '../../graph/format.ts'
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from './half.ts'

/** A value in storage, as the number that it means; the other way round for storing. */
type Convert = (value: number) => number

const identity: Convert = (value) => value

/** Rounds any number to the nearest one of a float format. */
const roundings: Partial<Record<DType, Convert>> = {
  f64: identity,
  f32: Math.fround,
  f16: (value) => decodeF16(encodeF16(value)),
  bf16: (value) => decodeBf16(encodeBf16(value)),
}

/** Brings the exact result of an integer operation (below 2^53) back into its format, as a register of that width does. */
const wrappings: Partial<Record<DType, Convert>> = {
  i32: (value) => value | 0,
  u32: (value) => value >>> 0,
  i16: (value) => (value << 16) >> 16,
  i8: (value) => (value << 24) >> 24,
  u8: (value) => value & 0xff,
  bool: (value) => (value === 0 ? 0 : 1),
}

function lookUp(table: Partial<Record<DType, Convert>>, dtype: DType, what: string): Convert {
  const convert = table[dtype]
  if (convert) return convert
  throw new TesseraError(
    'UNSUPPORTED',
    `The reference backend cannot ${what} '${dtype}'. Use one of ${Object.keys(table).join(', ')}.`,
  )
}

export const roundTo = (dtype: DType): Convert => lookUp(roundings, dtype, 'round to')
export const wrapTo = (dtype: DType): Convert => lookUp(wrappings, dtype, 'compute integers of format')

/** Smallest and largest value of a format: the identities of maximum and minimum, and where casts saturate. */
export function rangeOf(dtype: DType): { lowest: number; highest: number } {
  const { kind, bits } = formatOf(dtype)
  if (kind === 'float') return { lowest: Number.NEGATIVE_INFINITY, highest: Number.POSITIVE_INFINITY }
  if (kind === 'signed') return { lowest: -(2 ** (bits - 1)), highest: 2 ** (bits - 1) - 1 }
  return { lowest: 0, highest: 2 ** bits - 1 }
}

/**
 * The conversion of `cast`: floats are truncated towards zero and saturate (NaN gives 0), integers keep their low bits,
 * `bool` asks whether the value differs from 0, and float formats round.
 */
export function castBetween(from: DType, to: DType): Convert {
  const source = formatOf(from).kind
  const target = formatOf(to).kind
  if (target === 'float') return roundTo(to)
  if (target === 'bool' || source !== 'float') return wrapTo(to)
  const { lowest, highest } = rangeOf(to)
  return (value) => (Number.isNaN(value) ? 0 : Math.min(highest, Math.max(lowest, Math.trunc(value))) + 0)
}

/** The conversion of `bitcast`: the bits of a value in one format, read in another of the same width. */
export function bitcastBetween(from: DType, to: DType): Convert {
  const source = formatOf(from)
  const target = formatOf(to)
  if (source.bits !== target.bits) {
    throw new TesseraError(
      'UNSUPPORTED',
      `bitcast: ${from} has ${source.bits} bits, ${to} has ${target.bits}. Use formats of one width.`,
    )
  }
  const written = new source.array(1)
  const read = new target.array(written.buffer)
  const encode = encoderOf(from)
  const decode = decoderOf(to)
  return (value) => {
    written[0] = encode ? encode(value) : value
    return decode ? decode(read[0]!) : read[0]!
  }
}

/** From what the typed array holds to the number it means; `undefined` where they are the same. */
export const decoderOf = (dtype: DType): Convert | undefined =>
  dtype === 'f16' ? decodeF16 : dtype === 'bf16' ? decodeBf16 : undefined

/** From a number to what the typed array must hold; `undefined` where the typed array converts by itself. */
export const encoderOf = (dtype: DType): Convert | undefined =>
  dtype === 'f16' ? encodeF16 : dtype === 'bf16' ? encodeBf16 : undefined

/** `target[i] = source[base + offsets[i]]` for the first `count` offsets, as numbers. */
export function load(
  dtype: DType,
  source: TypedArray,
  base: number,
  offsets: Int32Array,
  count: number,
  target: Float64Array,
): void {
  const decode = decoderOf(dtype)
  if (decode) for (let i = 0; i < count; i++) target[i] = decode(source[base + offsets[i]!]!)
  // A loop of its own for the most frequent array type: one loop for all types is several times slower.
  else if (source instanceof Float32Array) loadFloats(source, base, offsets, count, target)
  else for (let i = 0; i < count; i++) target[i] = source[base + offsets[i]!]!
}

/** `target[base + offsets[i]] = values[i · stride]` for the first `count` offsets, in the storage of `dtype`. */
export function store(
  dtype: DType,
  values: Float64Array,
  stride: 0 | 1,
  target: TypedArray,
  base: number,
  offsets: Int32Array,
  count: number,
): void {
  const encode = encoderOf(dtype)
  if (encode) for (let i = 0; i < count; i++) target[base + offsets[i]!] = encode(values[i * stride]!)
  else if (target instanceof Float32Array) storeFloats(values, stride, target, base, offsets, count)
  else for (let i = 0; i < count; i++) target[base + offsets[i]!] = values[i * stride]!
}

function loadFloats(
  source: Float32Array,
  base: number,
  offsets: Int32Array,
  count: number,
  target: Float64Array,
): void {
  for (let i = 0; i < count; i++) target[i] = source[base + offsets[i]!]!
}

function storeFloats(
  values: Float64Array,
  stride: number,
  target: Float32Array,
  base: number,
  offsets: Int32Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[base + offsets[i]!] = values[i * stride]!
}
