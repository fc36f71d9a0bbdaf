/** The element types of a safetensors file that this package reads and writes, with their sizes in bytes. */
const itemSizes = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
} as const

/** An element type as the header spells it. */
export type SafetensorsDtype = keyof typeof itemSizes

/** Every element type that is read and written. */
export const safetensorsDtypes = Object.keys(itemSizes) as readonly SafetensorsDtype[]

/** Whether a value from an untrusted header names a known element type. */
export function isSafetensorsDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === 'string' && Object.hasOwn(itemSizes, value)
}

/** The size of one element in bytes. */
export function safetensorsItemSize(dtype: SafetensorsDtype): number {
  return itemSizes[dtype]
}
