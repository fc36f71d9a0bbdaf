import type { DType } from '@tessera/core'
import { formatOf } from '@tessera/core'

/** The WGSL type that a value of a format has in registers. */
export type Lane = 'f32' | 'i32' | 'u32' | 'bool'

const lanes: Partial<Record<DType, Lane>> = {
  f32: 'f32',
  f16: 'f32',
  bf16: 'f32',
  i32: 'i32',
  i16: 'i32',
  i8: 'i32',
  u32: 'u32',
  u8: 'u32',
  bool: 'bool',
}

/** `undefined` for formats that shaders cannot compute with, such as f64. */
export const laneOf = (dtype: DType): Lane | undefined => lanes[dtype]

/** Elements in one 32-bit word of storage. */
export const elementsPerWord = (dtype: DType): 1 | 2 | 4 => (4 / formatOf(dtype).bytes) as 1 | 2 | 4

/** How many elements an invocation computes side by side: one, or four as a vector. */
export interface Width {
  readonly lanes: 1 | 4
  /** The type of so many values. */
  type(lane: Lane): string
}
export const scalar: Width = { lanes: 1, type: (lane) => lane }
export const vector: Width = { lanes: 4, type: (lane) => `vec4<${lane}>` }

const words = new DataView(new ArrayBuffer(4))

/** A float as WGSL, exact to the bit. Infinities and NaN are no constants in WGSL and come from helpers. */
function floatLiteral(value: number): string {
  const rounded = Math.fround(value)
  if (Number.isNaN(rounded)) return 'quietNan()'
  if (!Number.isFinite(rounded)) return rounded > 0 ? 'infinity()' : '(-infinity())'
  if (Math.abs(rounded) < 2 ** -126 && !Object.is(rounded, 0)) {
    words.setFloat32(0, rounded)
    return `bitcast<f32>(0x${words.getUint32(0).toString(16)}u)`
  }
  const text = String(rounded)
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`
}

/** A constant of a format, in all lanes. */
export function literal(value: number, dtype: DType, width: Width = scalar): string {
  const lane = laneOf(dtype)!
  const one = {
    f32: () => (dtype === 'f32' ? floatLiteral(value) : `${roundingOf(dtype)}(${floatLiteral(value)})`),
    i32: () => `i32(${dtype === 'i8' ? (value << 24) >> 24 : dtype === 'i16' ? (value << 16) >> 16 : value | 0})`,
    u32: () => `${dtype === 'u8' ? value & 255 : value >>> 0}u`,
    bool: () => (value === 0 ? 'false' : 'true'),
  }[lane]()
  return width.lanes === 1 ? one : `${width.type(lane)}(${one})`
}

/** The helper that rounds an f32 to a narrower format. */
const roundingOf = (dtype: DType): string => (dtype === 'f16' ? 'roundF16' : 'roundBf16')

/** A value rounded to its own format, where registers are wider. */
export function rounded(value: string, dtype: DType, width: Width): string {
  if (dtype !== 'f16' && dtype !== 'bf16') return value
  return eachLane(value, width, 'f32', (one) => `${roundingOf(dtype)}(${one})`)
}

/** Applies a function of one lane to each lane of a value that is a name. */
export function eachLane(value: string, width: Width, lane: Lane, apply: (one: string) => string): string {
  if (width.lanes === 1) return apply(value)
  return `${width.type(lane)}(${['x', 'y', 'z', 'w'].map((part) => apply(`${value}.${part}`)).join(', ')})`
}

/** Element `part` (an expression, u32) of a word of packed elements, as a register. */
export function unpackElement(word: string, part: string, dtype: DType): string {
  switch (dtype) {
    case 'i16':
      return `extractBits(bitcast<i32>(${word}), ${part} * 16u, 16u)`
    case 'i8':
      return `extractBits(bitcast<i32>(${word}), ${part} * 8u, 8u)`
    case 'u8':
      return `extractBits(${word}, ${part} * 8u, 8u)`
    case 'bool':
      return `(extractBits(${word}, ${part} * 8u, 8u) != 0u)`
    case 'f16':
      return `decodeF16(extractBits(${word}, ${part} * 16u, 16u))`
    default:
      return `decodeBf16(extractBits(${word}, ${part} * 16u, 16u))`
  }
}

/** A register of a packed format as the low bits of a u32, other bits 0. */
export function packElement(value: string, dtype: DType): string {
  switch (dtype) {
    case 'i16':
      return `(bitcast<u32>(${value}) & 0xffffu)`
    case 'i8':
      return `(bitcast<u32>(${value}) & 0xffu)`
    case 'u8':
      return `(${value} & 0xffu)`
    case 'bool':
      return `u32(${value})`
    case 'f16':
      return `encodeF16(${value})`
    default:
      return `encodeBf16(${value})`
  }
}
