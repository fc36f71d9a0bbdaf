import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { TesseraError } from '@tessera/core'
import { cifar, Dataset, hostRandom, type LabelledImage } from '@tessera/nn/data'
import { parseTar } from 'nanotar'
import { checkSum, download } from '../download.ts'

export interface CifarImages {
  readonly training: Dataset<LabelledImage>
  readonly test: Dataset<LabelledImage>
  readonly name: string
}

/** The binary version of CIFAR-10 (Krizhevsky 2009), with the MD5 sum that its page states. */
export const cifarArchive = {
  url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
  md5: 'c32a1d4ab5d03f1284b67883e8d87530',
}

/** CIFAR-10 from the files of its binary version in a folder. */
export async function readCifar(folder: string): Promise<CifarImages> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.bin')).sort()
  const read = async (start: string) => {
    const chosen = names.filter((name) => name.startsWith(start))
    if (chosen.length > 0) return cifar(await Promise.all(chosen.map((name) => readFile(join(folder, name)))))
    throw new TesseraError(
      'NO_DATA',
      `${folder} holds no data_batch_*.bin and test_batch.bin. Unpack the binary version of CIFAR-10 there, or let --download get it.`,
    )
  }
  return { training: await read('data_batch'), test: await read('test_batch'), name: 'CIFAR-10' }
}

/**
 * Loads CIFAR-10 into a folder, unless its files are there.
 *
 * @throws TesseraError `DOWNLOAD` when the archive does not come, or is not the one that was published
 */
export async function downloadCifar(folder: string, { url, md5 } = cifarArchive, get = fetch): Promise<void> {
  const there = await readdir(folder).catch((): string[] => [])
  if (there.includes('test_batch.bin')) return
  const source = { url, name: 'CIFAR-10', cure: `unpack it into ${folder} yourself` }
  const archive = await download(source, get)
  checkSum(archive, md5, source)
  await mkdir(folder, { recursive: true })
  // nanotar reads the whole buffer behind its bytes, which for small results is a shared one.
  const contents = new Uint8Array(gunzipSync(archive))
  const files = parseTar(contents).flatMap(({ name, data }) => {
    const file = /(?:^|\/)((?:data_batch_\d|test_batch)\.bin)$/.exec(name)?.[1]
    return file && data ? [{ file, data }] : []
  })
  // The test images come last: they show that all is there.
  files.sort((a, b) => a.file.localeCompare(b.file))
  for (const { file, data } of files) await writeFile(join(folder, file), data)
}

/** Images without data: for each class a smooth picture, moved about and under noise. */
export function makeImages(count: number, seed = 1): CifarImages {
  const waves = Array.from({ length: 10 }, (_, label) => {
    const random = hostRandom(seed, label)
    return Array.from({ length: 9 }, () => ({
      channel: Math.floor(3 * random()),
      x: 0.1 + 0.5 * random(),
      y: 0.1 + 0.5 * random(),
      phase: 6.3 * random(),
    }))
  })
  const make = (length: number, part: number) =>
    new Dataset<LabelledImage>(length, (index) => {
      const random = hostRandom(seed, part, index)
      const label = Math.floor(10 * random())
      const data = new Uint8Array(3072)
      const [left, top] = [4 * random(), 4 * random()]
      for (let channel = 0; channel < 3; channel++) {
        const own = waves[label]!.filter((wave) => wave.channel === channel)
        for (let i = 0; i < 1024; i++) {
          const [x, y] = [left + (i % 32), top + Math.floor(i / 32)]
          const value = own.reduce((sum, wave) => sum + Math.sin(wave.x * x + wave.y * y + wave.phase), 0)
          data[1024 * channel + i] = Math.max(0, Math.min(255, 128 + 30 * value + 120 * (random() - 0.5)))
        }
      }
      return { image: { data, shape: [3, 32, 32] }, label: { data: Int32Array.of(label), shape: [] } }
    })
  return { training: make(count, 0), test: make(Math.ceil(count / 5), 1), name: 'made images' }
}

/** Moved by up to four pixels and mirrored by chance, as in He et al. 2016, section 4.2. */
export function augment(images: Dataset<LabelledImage>, seed: number): Dataset<LabelledImage> {
  return images.map(
    ({ image, label }, { random }) => {
      const data = new Uint8Array(3072)
      const [dx, dy] = [Math.floor(9 * random()) - 4, Math.floor(9 * random()) - 4]
      const isMirrored = random() < 0.5
      for (let i = 0; i < 3072; i++) {
        const [x, y, plane] = [i % 32, Math.floor(i / 32) % 32, 1024 * Math.floor(i / 1024)]
        const [fromX, fromY] = [(isMirrored ? 31 - x : x) + dx, y + dy]
        const isInside = fromX >= 0 && fromX < 32 && fromY >= 0 && fromY < 32
        data[i] = isInside ? image.data[plane + 32 * fromY + fromX]! : 0
      }
      return { image: { data, shape: [3, 32, 32] }, label }
    },
    { seed },
  )
}
