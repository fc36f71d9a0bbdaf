import type { SafetensorsDtype } from './dtypes.ts'
import type { SafetensorsTensor } from './reader.ts'

/** What each element type is stored as. Formats without a typed array of their own stay raw bits. */
const arrays = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  F8_E8M0: Uint8Array,
  F8_E4M3FNUZ: Uint8Array,
  F8_E5M2FNUZ: Uint8Array,
} as const satisfies Record<SafetensorsDtype, unknown>

/** The typed array that holds the elements of a tensor. */
export type SafetensorsValues = InstanceType<(typeof arrays)[SafetensorsDtype]>

/**
 * The elements of a tensor as a typed array: a view where the bytes are aligned for it, otherwise a copy.
 * F16 and BF16 come as the 16 bits of each element, the 8-bit floating-point formats as bytes.
 *
 * @example
 * ```ts
 * const one = { dtype: 'F32', shape: [1], bytes: new Uint8Array([0, 0, 128, 63]) } as const
 * safetensorsValues(one) // Float32Array [1]
 * ```
 */
export function safetensorsValues({ dtype, bytes }: SafetensorsTensor): SafetensorsValues {
  const Values = arrays[dtype]
  // Shared memory is viewed like any other; the constructors' types know only ArrayBuffer.
  const aligned = bytes.byteOffset % Values.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes)
  return new Values(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / Values.BYTES_PER_ELEMENT)
}
