import type { DType, TypedArray } from '@tessera/core'
import { NumpyError } from './errors.ts'

/** Element types that NumPy files hold: core's formats, and those that only files have. */
export type NumpyDtype = Exclude<DType, 'bf16'> | 'i16' | 'u16' | 'i64' | 'u64'

/** What elements are stored in; f16 as their 16 bits. */
export type NumpyValues = TypedArray | Int16Array | BigInt64Array | BigUint64Array

type ValuesConstructor = {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer): NumpyValues
}

interface Format {
  readonly array: ValuesConstructor
  /** As in the header, without the order of bytes. */
  readonly code: string
}

/** By name; the codes are those of https://numpy.org/doc/stable/reference/arrays.interface.html. */
export const formats: Readonly<Record<NumpyDtype, Format>> = {
  bool: { code: 'b1', array: Uint8Array },
  i8: { code: 'i1', array: Int8Array },
  u8: { code: 'u1', array: Uint8Array },
  i16: { code: 'i2', array: Int16Array },
  u16: { code: 'u2', array: Uint16Array },
  i32: { code: 'i4', array: Int32Array },
  u32: { code: 'u4', array: Uint32Array },
  i64: { code: 'i8', array: BigInt64Array },
  u64: { code: 'u8', array: BigUint64Array },
  f16: { code: 'f2', array: Uint16Array },
  f32: { code: 'f4', array: Float32Array },
  f64: { code: 'f8', array: Float64Array },
}

/** The format of a description such as `<f4`, and whether its bytes must be swapped. */
export function formatOfDescription(description: string): { dtype: NumpyDtype; swapped: boolean } {
  const [order, code] = [description[0], description.slice(1)]
  const found = Object.entries(formats).find(([, format]) => format.code === code)
  if (!found || !'<>|='.includes(order ?? ' ')) {
    throw new NumpyError(
      `the elements are ${JSON.stringify(description.slice(0, 40))}. Bool, integers and floating-point numbers of up to 64 bits are read; convert others in NumPy, for example with x.astype('float32')`,
    )
  }
  return { dtype: found[0] as NumpyDtype, swapped: order === '>' && found[1].array.BYTES_PER_ELEMENT > 1 }
}
