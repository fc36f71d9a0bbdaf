import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { type DType, formatOf, type TypedArray } from '../graph/format.ts'
import { checkShape, formatShape, type Shape, sizeOf } from '../graph/shape.ts'
import { setLeafValue } from '../run/storage.ts'
import { Tensor } from './tensor.ts'

export type NestedArray = number | boolean | readonly NestedArray[]

/** Number format that a typed array holds; 8-bit unsigned arrays are `u8`. */
function dtypeOfArray(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'f32'
  if (array instanceof Float64Array) return 'f64'
  if (array instanceof Int32Array) return 'i32'
  if (array instanceof Uint32Array) return 'u32'
  if (array instanceof Int16Array) return 'i16'
  if (array instanceof Int8Array) return 'i8'
  if (array instanceof Uint8Array) return 'u8'
  throw new ShapeError('tensor: a Uint16Array may hold f16 or bf16; say which: tensor(data, shape, "bf16").')
}

/**
 * A tensor of data from the host, copied. Typed arrays keep their format; numbers become f32, booleans bool.
 *
 * @param shape by default that of the nesting, or `[length]`
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * const matrix = tensor([[1, 2], [3, 4]])
 * const tokens = tensor(new Int32Array([7, 8, 9, 10]), [2, 2])
 * console.log(matrix.shape, tokens.dtype) // [2, 2] i32
 * ```
 */
export function tensor(values: NestedArray | TypedArray, shape?: Shape, dtype?: DType): Tensor {
  if (ArrayBuffer.isView(values))
    return fromFlat(
      values as TypedArray,
      shape ?? [(values as TypedArray).length],
      dtype ?? dtypeOfArray(values as TypedArray),
    )
  const nested = values as NestedArray
  const flat: (number | boolean)[] = []
  const nesting = flatten(nested, flat)
  const inferred = dtype ?? (flat.length > 0 && flat.every((value) => typeof value === 'boolean') ? 'bool' : 'f32')
  return fromFlat(flat.map(Number), shape ?? nesting, inferred)
}

function fromFlat(values: ArrayLike<number>, shape: Shape, dtype: DType): Tensor {
  checkShape('tensor', shape)
  if (sizeOf(shape) !== values.length) {
    throw new ShapeError(
      `tensor: shape ${formatShape(shape)} has ${sizeOf(shape)} elements, the data has ${values.length}.`,
    )
  }
  const data = new (formatOf(dtype).array)(values.length)
  if (dtype === 'bool') for (let i = 0; i < values.length; i++) data[i] = values[i] ? 1 : 0
  else data.set(values)
  const node = build.leaf(shape, dtype)
  setLeafValue(node, { kind: 'host', data })
  return new Tensor(node)
}

function flatten(values: NestedArray, into: (number | boolean)[]): number[] {
  if (!Array.isArray(values)) {
    into.push(values as number | boolean)
    return []
  }
  const shapes = (values as readonly NestedArray[]).map((value) => flatten(value, into))
  const inner = shapes[0] ?? []
  const ragged = shapes.findIndex(
    (shape) => shape.length !== inner.length || shape.some((extent, i) => extent !== inner[i]),
  )
  if (ragged >= 0) {
    throw new ShapeError(
      `tensor: nested arrays must be regular; element 0 has shape ${formatShape(inner)}, element ${ragged} ${formatShape(shapes[ragged]!)}.`,
    )
  }
  return [values.length, ...inner]
}

export function full(shape: Shape, value: number, dtype: DType = 'f32'): Tensor {
  checkShape('full', shape)
  return new Tensor(build.full(shape, value, dtype))
}

export function zeros(shape: Shape, dtype: DType = 'f32'): Tensor {
  return full(shape, 0, dtype)
}

export function ones(shape: Shape, dtype: DType = 'f32'): Tensor {
  return full(shape, 1, dtype)
}

export function zerosLike(x: Tensor): Tensor {
  return full(x.shape, 0, x.dtype)
}

export function onesLike(x: Tensor): Tensor {
  return full(x.shape, 1, x.dtype)
}

/** `start`, `start + step`, … below `end` (i32 unless fractions or a format are given); one argument counts from 0. */
export function range(start: number, end?: number, step = 1, dtype?: DType): Tensor {
  const [first, last] = end === undefined ? [0, start] : [start, end]
  const length = Math.max(0, Math.ceil((last - first) / step))
  if (!Number.isFinite(length))
    throw new ShapeError(`range: ${first} to ${last} by ${step} does not end. Give a step that is not 0.`)
  const format = dtype ?? ([first, step].every(Number.isInteger) ? 'i32' : 'f32')
  return new Tensor(
    build.add(build.multiply(build.iota(length, format), build.constant(step, format)), build.constant(first, format)),
  )
}

/** Ones where row and column are equal, zeros elsewhere. */
export function eye(rows: number, columns = rows, dtype: DType = 'f32'): Tensor {
  const shape = [rows, columns]
  return new Tensor(build.cast(build.binary('equal', build.axisIndex(shape, 0), build.axisIndex(shape, 1)), dtype))
}

/** `count` numbers at equal distances from `start` to `end`, both included. */
export function linspace(start: number, end: number, count: number, dtype: DType = 'f32'): Tensor {
  if (!Number.isInteger(count) || count < 0)
    throw new ShapeError(`linspace: the count must be an integer that is not negative, got ${count}.`)
  const values = Array.from({ length: count }, (_, i) =>
    i === count - 1 && i > 0 ? end : start + ((end - start) * i) / Math.max(1, count - 1),
  )
  return fromFlat(values, [count], dtype)
}

/**
 * Ones where column − row ≤ `diagonal`, zeros above: the mask of a causal attention.
 *
 * @example
 * ```ts
 * import { triangle } from '@tessera/core'
 * console.log(await triangle(2, 2).data()) // 1, 0, 1, 1
 * ```
 */
export function triangle(rows: number, columns = rows, diagonal = 0, dtype: DType = 'f32'): Tensor {
  const shape = [rows, columns]
  const limit = build.add(build.axisIndex(shape, 0), diagonal)
  return new Tensor(build.cast(build.binary('lessEqual', build.axisIndex(shape, 1), limit), dtype))
}
