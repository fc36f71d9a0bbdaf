import { formatOf, sizeOf, type Tensor, type TypedArray, tensor } from '@tessera/core'
import { OnnxError } from '../errors.ts'
import { type ElementType, elementType } from './elements.ts'
import type { TensorProto } from './schema.ts'

/** Gives the bytes of a file beside the model that holds weights, by the name that the model has for it. */
export type ExternalData = (location: string) => Uint8Array

/** Numbers that are known without a device, in row-major order. 16-bit floating-point ones are their bits. */
export interface Constant {
  readonly type: ElementType
  readonly shape: readonly number[]
  readonly data: readonly number[] | TypedArray
}

/**
 * The contents of a tensor of the file.
 *
 * @throws OnnxError when lengths do not fit; they are checked before memory is taken
 */
export function readTensor(proto: TensorProto, external: ExternalData | undefined): Constant {
  const where = `the tensor ${JSON.stringify(proto.name)}`
  const type = elementType(proto.dataType, where)
  const shape = proto.dims
  const size = sizeOf(shape)
  if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0) || !Number.isSafeInteger(size)) {
    throw new OnnxError('ONNX_FILE', `The shape of ${where} is [${shape.join(', ')}].`)
  }
  const raw = proto.dataLocation === 1 ? externalBytes(proto, external, where) : proto.rawData
  const lists = [proto.floatData, proto.int32Data, proto.int64Data, proto.uint64Data, proto.doubleData]
  const list = lists.find(({ length }) => length > 0)
  const found = list && raw.length === 0 ? list.length : raw.length / type.bytes
  if (found !== size) {
    throw new OnnxError(
      'ONNX_FILE',
      `${where} of shape [${shape.join(', ')}] has ${found} elements of type ${type.name}, not ${size}. The file is damaged.`,
    )
  }
  if (list && raw.length === 0) return { type, shape, data: list }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const data = new (formatOf(type.dtype).array)(size)
  // Indices that only 64 bits hold matter as numbers, so they are kept as such.
  const wide = type.bytes === 8 && type.dtype !== 'f64' ? new Array<number>(size) : undefined
  for (let i = 0; i < size; i++) {
    const value = type.read(view, i * type.bytes)
    if (wide) wide[i] = value
    else data[i] = value
  }
  return { type, shape, data: wide ?? data }
}

function externalBytes(proto: TensorProto, external: ExternalData | undefined, where: string): Uint8Array {
  const entries = Object.fromEntries(proto.externalData.map(({ key, value }) => [key, value]))
  const { location = '', offset = '0' } = entries
  if (!external) {
    throw new OnnxError(
      'ONNX_FILE',
      `${where} lies in the file ${JSON.stringify(location)} beside the model. Give its bytes: importOnnx(bytes, { externalData: (location) => … }).`,
    )
  }
  const file = external(location)
  const start = Number(offset)
  const length = entries.length === undefined ? file.length - start : Number(entries.length)
  if (
    !(
      Number.isSafeInteger(start) &&
      start >= 0 &&
      Number.isSafeInteger(length) &&
      length >= 0 &&
      start + length <= file.length
    )
  ) {
    throw new OnnxError(
      'ONNX_FILE',
      `${where} takes bytes ${offset} to ${start + length} of ${JSON.stringify(location)}, which has ${file.length}.`,
    )
  }
  return file.subarray(start, start + length)
}

/** A constant on the device. 64-bit integers are held within the range of 32 bits. */
export function constantTensor({ type, shape, data }: Constant): Tensor {
  const { dtype } = type
  const array = new (formatOf(dtype).array)(data.length)
  const [low, high] =
    dtype === 'i32' ? [-(2 ** 31), 2 ** 31 - 1] : dtype === 'u32' ? [0, 2 ** 32 - 1] : [-Infinity, Infinity]
  for (let i = 0; i < data.length; i++) array[i] = Math.min(Math.max(data[i]!, low), high)
  if (dtype === 'f32' || dtype === 'f64') array.set(data as ArrayLike<number>)
  return tensor(array, shape, dtype)
}
