import type { Dataset, LabelledImage } from '@tessera/nn/data'
import { readCifar as readFiles } from '../formats/cifar.ts'

/** Images of 3072 numbers around zero, and their classes. */
export interface Images {
  readonly pixels: Float32Array
  readonly labels: Int32Array
}

export interface Split {
  readonly training: Images
  readonly test: Images
}

export const inputs = 3072
export const classes = 10

/** CIFAR-10 from the files of its binary version. */
export async function readCifar(folder: string): Promise<Split> {
  const { training, test } = await readFiles(folder)
  const read = async (dataset: Dataset<LabelledImage>): Promise<Images> => {
    const pixels = new Float32Array(dataset.length * inputs)
    const labels = new Int32Array(dataset.length)
    let i = 0
    for await (const { image, label } of dataset) {
      // The mean and the deviation of all channels together.
      for (let k = 0; k < inputs; k++) pixels[i * inputs + k] = (image.data[k]! - 120.7) / 64.1
      labels[i++] = label.data[0]!
    }
    return { pixels, labels }
  }
  return { training: await read(training), test: await read(test) }
}

/** A picture for each class, with noise of twice its size. */
export function makeImages(count: number, seed = 1): Split {
  let state = seed
  const next = () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
  const noise = () => (next() + next() + next() + next() - 2) * Math.sqrt(3)
  const pictures = Float32Array.from({ length: classes * inputs }, noise)
  const make = (length: number): Images => {
    const labels = Int32Array.from({ length }, () => Math.floor(next() * classes))
    const pixels = new Float32Array(length * inputs)
    for (let i = 0; i < length; i++)
      for (let k = 0; k < inputs; k++) pixels[i * inputs + k] = pictures[labels[i]! * inputs + k]! * 0.15 + noise()
    return { pixels, labels }
  }
  return { training: make(count), test: make(Math.ceil(count / 5)) }
}
