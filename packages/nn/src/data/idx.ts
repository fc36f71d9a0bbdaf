import { sizeOf, type TypedArray } from '@tessera/core'
import { dataError, unzipped } from './bytes.ts'
import type { Dataset } from './dataset.ts'
import type { HostTensor } from './host-tensor.ts'
import { type LabelledImage, labelledImages } from './labelled-images.ts'

const formats: Readonly<Record<number, { size: number; read(view: DataView, length: number): TypedArray }>> = {
  8: { size: 1, read: (view, length) => new Uint8Array(view.buffer, view.byteOffset, length).slice() },
  9: { size: 1, read: (view, length) => new Int8Array(view.buffer, view.byteOffset, length).slice() },
  11: { size: 2, read: (view, length) => Int32Array.from({ length }, (_, i) => view.getInt16(2 * i)) },
  12: { size: 4, read: (view, length) => Int32Array.from({ length }, (_, i) => view.getInt32(4 * i)) },
  13: { size: 4, read: (view, length) => Float32Array.from({ length }, (_, i) => view.getFloat32(4 * i)) },
  14: { size: 8, read: (view, length) => Float64Array.from({ length }, (_, i) => view.getFloat64(8 * i)) },
}

/**
 * Reads an IDX file, the format of MNIST (http://yann.lecun.com/exdb/mnist): big-endian, gzipped or not. 16-bit numbers become i32.
 *
 * @throws TesseraError with code `DATA_FILE` when the bytes do not follow the format; lengths are checked before memory is taken
 */
export async function parseIdx(file: Uint8Array): Promise<HostTensor> {
  const bytes = await unzipped(file)
  const [first, second, code, rank] = bytes
  const format = formats[code ?? 0]
  if (bytes.length < 4 || first !== 0 || second !== 0 || !format || !rank) {
    throw dataError(
      `This is no IDX file: it begins with [${[...bytes.subarray(0, 4)].join(', ')}], not with 0, 0, a format and a number of axes.`,
    )
  }
  const header = 4 + 4 * rank
  if (bytes.length < header)
    throw dataError(`The IDX file has ${bytes.length} bytes, its header alone ${header}. Load it again.`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis))
  const length = sizeOf(shape)
  if (bytes.length !== header + length * format.size) {
    throw dataError(
      `The IDX file of shape [${shape.join(', ')}] must have ${header + length * format.size} bytes, it has ${bytes.length}. Load it again.`,
    )
  }
  return {
    data: format.read(new DataView(bytes.buffer, bytes.byteOffset + header, length * format.size), length),
    shape,
  }
}

/**
 * MNIST, or another set in its format, from the bytes of its two files.
 *
 * @param images u8 `[count, height, width]`
 * @param labels u8 `[count]`
 */
export async function mnist(images: Uint8Array, labels: Uint8Array): Promise<Dataset<LabelledImage>> {
  const [pictures, classes] = [await parseIdx(images), await parseIdx(labels)]
  const [count, height, width] = pictures.shape
  if (pictures.shape.length !== 3 || !(pictures.data instanceof Uint8Array) || !(classes.data instanceof Uint8Array)) {
    throw dataError(
      `The images of MNIST are u8 [count, height, width], these are [${pictures.shape.join(', ')}]. Give the images first, then the labels.`,
    )
  }
  return labelledImages(pictures.data, [count!, 1, height!, width!], Int32Array.from(classes.data))
}
