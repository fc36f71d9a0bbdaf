import { dataError, unzipped } from './bytes.ts'
import type { Dataset } from './dataset.ts'
import { type LabelledImage, labelledImages } from './labelled-images.ts'

const pixels = 3 * 32 * 32

/**
 * CIFAR-10 or CIFAR-100 from the bytes of files of the binary version (https://www.cs.toronto.edu/~kriz/cifar.html), gzipped or not: for each image one
 * label byte, of CIFAR-100 a coarse and a fine one, then red, green and blue planes of 32 × 32.
 *
 * @param files for example `data_batch_1.bin` to `data_batch_5.bin`
 * @param classes 10, or 100 for the fine labels
 * @throws TesseraError with code `DATA_FILE` when a file has no whole number of images, or a label is out of range
 */
export async function cifar(files: readonly Uint8Array[], classes: 10 | 100 = 10): Promise<Dataset<LabelledImage>> {
  const labelBytes = classes === 10 ? 1 : 2
  const record = labelBytes + pixels
  const contents = await Promise.all(files.map(unzipped))
  for (const [i, { length }] of contents.entries()) {
    if (length % record !== 0) {
      throw dataError(
        `File ${i} of CIFAR-${classes} has ${length} bytes, which is no multiple of ${record}. Load it again, and unpack archives first.`,
      )
    }
  }
  const count = contents.reduce((total, { length }) => total + length / record, 0)
  const images = new Uint8Array(count * pixels)
  const labels = new Int32Array(count)
  let image = 0
  for (const bytes of contents) {
    for (let position = 0; position < bytes.length; position += record, image++) {
      const label = bytes[position + labelBytes - 1]!
      if (label >= classes)
        throw dataError(`Image ${image} has the label ${label}; CIFAR-${classes} ends at ${classes - 1}.`)
      labels[image] = label
      images.set(bytes.subarray(position + labelBytes, position + record), image * pixels)
    }
  }
  return labelledImages(images, [count, 3, 32, 32], labels)
}
