import type { DType } from '@tessera/core'
import type { SafetensorsDtype } from '../safetensors/index.ts'

/** How a safetensors file spells core's number formats. */
const spellings: Partial<Record<DType, SafetensorsDtype>> = {
  f32: 'F32',
  f64: 'F64',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  u32: 'U32',
  i16: 'I16',
  i8: 'I8',
  u8: 'U8',
  bool: 'BOOL',
}

/** The element type of a file for a number format, `undefined` where files know none. */
export function toSafetensorsDtype(dtype: DType): SafetensorsDtype | undefined {
  return spellings[dtype]
}

/** The number format for an element type of a file, `undefined` where core has none. */
export function fromSafetensorsDtype(dtype: SafetensorsDtype): DType | undefined {
  return (Object.keys(spellings) as DType[]).find((name) => spellings[name] === dtype)
}
