import type { DType } from '@tessera/core'
import { OnnxError } from '../errors.ts'

/** An element type of ONNX: what it is here, and how its bytes are read. Formats that core does not have become the next wider one. */
export interface ElementType {
  readonly name: string
  readonly dtype: DType
  readonly bytes: number
  read(view: DataView, position: number): number
}

const types: Readonly<Record<number, ElementType>> = {
  1: { name: 'float', dtype: 'f32', bytes: 4, read: (view, position) => view.getFloat32(position, true) },
  2: { name: 'uint8', dtype: 'u8', bytes: 1, read: (view, position) => view.getUint8(position) },
  3: { name: 'int8', dtype: 'i8', bytes: 1, read: (view, position) => view.getInt8(position) },
  4: { name: 'uint16', dtype: 'u32', bytes: 2, read: (view, position) => view.getUint16(position, true) },
  5: { name: 'int16', dtype: 'i32', bytes: 2, read: (view, position) => view.getInt16(position, true) },
  6: { name: 'int32', dtype: 'i32', bytes: 4, read: (view, position) => view.getInt32(position, true) },
  7: { name: 'int64', dtype: 'i32', bytes: 8, read: (view, position) => Number(view.getBigInt64(position, true)) },
  9: { name: 'bool', dtype: 'bool', bytes: 1, read: (view, position) => view.getUint8(position) },
  // 16-bit floating-point numbers stay bits.
  10: { name: 'float16', dtype: 'f16', bytes: 2, read: (view, position) => view.getUint16(position, true) },
  11: { name: 'double', dtype: 'f64', bytes: 8, read: (view, position) => view.getFloat64(position, true) },
  12: { name: 'uint32', dtype: 'u32', bytes: 4, read: (view, position) => view.getUint32(position, true) },
  13: { name: 'uint64', dtype: 'u32', bytes: 8, read: (view, position) => Number(view.getBigUint64(position, true)) },
  16: { name: 'bfloat16', dtype: 'bf16', bytes: 2, read: (view, position) => view.getUint16(position, true) },
}

/** @throws OnnxError with code `ONNX_UNSUPPORTED` for strings, complex numbers and the like */
export function elementType(code: number, where: string): ElementType {
  const type = types[code]
  if (type) return type
  throw new OnnxError(
    'ONNX_UNSUPPORTED',
    `${where} has elements of ONNX's type ${code}. Supported are ${Object.values(types)
      .map(({ name }) => name)
      .join(', ')}.`,
  )
}
