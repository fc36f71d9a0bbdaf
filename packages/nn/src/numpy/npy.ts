import { sizeOf, type Tensor, tensor } from '@tessera/core'
import { NumpyError } from './errors.ts'
import { formatOfDescription, formats, type NumpyDtype, type NumpyValues } from './formats.ts'

/** An array of a NumPy file. */
export interface NumpyArray {
  readonly dtype: NumpyDtype
  readonly shape: readonly number[]
  /** Row-major; f16 as the 16 bits of each element, bool as bytes. */
  readonly data: NumpyValues
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

/** Longest header that is read; NumPy itself allows 10,000 characters for untrusted files. */
const maximumHeaderLength = 2 ** 16

/**
 * Reads a `.npy` file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3) from untrusted bytes. Lengths are checked
 * before memory is taken; big-endian elements are swapped, and arrays in Fortran's order come out row-major.
 *
 * @throws NumpyError when the file does not follow the format, or holds strings, objects, records or complex numbers
 * @example
 * ```ts
 * import { encodeNpy, parseNpy } from '@tessera/nn/interop'
 * const file = encodeNpy({ dtype: 'f32', shape: [2], data: Float32Array.of(1, 2) })
 * console.log(parseNpy(file).data) // [1, 2]
 * ```
 */
export function parseNpy(file: Uint8Array): NumpyArray {
  if (!magic.every((byte, i) => file[i] === byte)) throw new NumpyError('it does not begin with \\x93NUMPY')
  const version = file[6]
  const lengthBytes = version === 1 ? 2 : 4
  const start = 8 + lengthBytes
  if (version === undefined || version < 1 || version > 3 || file.length < start) {
    throw new NumpyError(`its version is ${version}; versions 1 to 3 are read`)
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const headerLength = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (headerLength > maximumHeaderLength || start + headerLength > file.length) {
    throw new NumpyError(`its header of ${headerLength} bytes does not fit into ${file.length} bytes`)
  }
  const bytes = file.subarray(start, start + headerLength)
  const header = parseHeader(new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(bytes))
  const { dtype, swapped } = formatOfDescription(header.description)
  const { array: Values } = formats[dtype]
  const count = sizeOf(header.shape)
  const length = count * Values.BYTES_PER_ELEMENT
  const content = file.subarray(start + headerLength)
  if (content.length !== length) {
    throw new NumpyError(
      `${dtype}[${header.shape.join(', ')}] takes ${length} bytes, ${content.length} follow the header. The file is damaged or was not written to its end`,
    )
  }
  const data = new Values(content.slice().buffer as ArrayBuffer)
  if (swapped) swapBytes(new Uint8Array(data.buffer), Values.BYTES_PER_ELEMENT)
  return { dtype, shape: header.shape, data: header.isFortran ? toRowMajor(data, header.shape) : data }
}

/** The header is the literal of a Python dictionary with three keys; no more of Python is understood. */
function parseHeader(text: string): { description: string; isFortran: boolean; shape: number[] } {
  const literal = /^\{\s*(.*?),?\s*\}\s*$/s.exec(text)?.[1]
  const entry = /^\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^']*)'|(True|False)|\(([\d\s,L]*)\))\s*(?:,|$)/
  const found = new Map<
    string,
    { text?: string | undefined; flag?: string | undefined; numbers?: string | undefined }
  >()
  let rest = literal ?? ''
  for (let match = entry.exec(rest); match && !found.has(match[1]!); match = entry.exec(rest)) {
    found.set(match[1]!, { text: match[2], flag: match[3], numbers: match[4] })
    rest = rest.slice(match[0].length)
  }
  const description = found.get('descr')?.text
  const flag = found.get('fortran_order')?.flag
  const numbers = found.get('shape')?.numbers
  const shape = numbers
    ?.split(',')
    .flatMap((part) => (part.trim() === '' ? [] : [Number(part.trim().replace(/L$/, ''))]))
  if (description === undefined || !flag || !shape || rest.trim() !== '') {
    throw new NumpyError(
      `its header is ${JSON.stringify(text.slice(0, 120))}, not a dictionary of descr, fortran_order and shape`,
    )
  }
  if (!shape.every(Number.isSafeInteger) || !Number.isSafeInteger(sizeOf(shape))) {
    throw new NumpyError(`its shape is (${numbers})`)
  }
  return { description, isFortran: flag === 'True', shape }
}

function swapBytes(bytes: Uint8Array, size: number): void {
  for (let start = 0; start < bytes.length; start += size) bytes.subarray(start, start + size).reverse()
}

function toRowMajor(data: NumpyValues, shape: readonly number[]): NumpyValues {
  const result = data.slice()
  const position = shape.map(() => 0)
  for (let i = 0; i < data.length; i++) {
    // In Fortran's order the first axis is the fastest.
    let source = 0
    for (let axis = shape.length - 1; axis >= 0; axis--) source = source * shape[axis]! + position[axis]!
    result[i] = data[source]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position[axis]!++
      if (position[axis]! < shape[axis]!) break
      position[axis] = 0
    }
  }
  return result
}

/**
 * Writes a `.npy` file that NumPy and others read.
 *
 * @throws NumpyError when the data does not fit the shape and format
 */
export function encodeNpy({ dtype, shape, data }: NumpyArray): Uint8Array<ArrayBuffer> {
  const { array: Values, code } = formats[dtype]
  if (!(data instanceof Values) || data.length !== sizeOf(shape)) {
    throw new NumpyError(
      `${dtype}[${shape.join(', ')}] takes ${sizeOf(shape)} elements of a ${Values.name}, got ${data.length} of a ${data.constructor.name}`,
    )
  }
  const order = Values.BYTES_PER_ELEMENT === 1 ? '|' : '<'
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${tuple}), }`
  // Padded so that the data begins at a multiple of 64 bytes.
  const header = `${text}${' '.repeat(63 - ((10 + text.length) % 64))}\n`
  const file = new Uint8Array(10 + header.length + data.byteLength)
  file.set([...magic, 1, 0, header.length & 255, header.length >> 8])
  file.set(new TextEncoder().encode(header), 10)
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length)
  return file
}

/**
 * The array as a tensor. 16- and 64-bit integers, which core does not have, become i32 (u16 too) where all of them fit.
 *
 * @throws NumpyError when a 64-bit integer does not fit
 */
export function fromNumpy({ dtype, shape, data }: NumpyArray): Tensor {
  if (dtype !== 'i64' && dtype !== 'u64' && dtype !== 'i16' && dtype !== 'u16') {
    return tensor(data as Float32Array, shape, dtype)
  }
  const values = Int32Array.from(data as ArrayLike<number>, (value) => {
    const number = Number(value)
    if (number !== (number | 0))
      throw new NumpyError(`${dtype} holds ${value}, which does not fit into i32. Convert it in NumPy`)
    return number
  })
  return tensor(values, shape)
}

/** A tensor as an array for `encodeNpy` and `encodeNpz`; NumPy has no bf16, so that becomes f32. */
export async function toNumpy(x: Tensor): Promise<NumpyArray> {
  const plain = x.dtype === 'bf16' ? x.cast('f32') : x
  return { dtype: plain.dtype as NumpyDtype, shape: plain.shape, data: await plain.data() }
}
