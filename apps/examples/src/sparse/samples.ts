import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodePng, encodeWav, muLawSamples } from '@tessera/nn/data'
import { imageGrid } from '../formats/gan.ts'

/** Writes drawn sequences as files of a kind that programs open. */
export type SampleWriter = (folder: string, name: string, sequences: readonly Int32Array[]) => Promise<void>

/** Texts one after another; bytes that are no UTF-8 become the sign of replacement. */
export const writeTexts: SampleWriter = async (folder, name, sequences) => {
  await mkdir(folder, { recursive: true })
  const texts = sequences.map(
    (bytes, i) => `--- sample ${i + 1} ---\n${new TextDecoder().decode(Uint8Array.from(bytes))}\n`,
  )
  await writeFile(join(folder, `${name}.txt`), texts.join('\n'))
}

/** Images of 32 × 32 in one picture, up to eight in a row. */
export const writeImages: SampleWriter = async (folder, name, sequences) => {
  await mkdir(folder, { recursive: true })
  const planes = sequences.flatMap((bytes) =>
    Array.from(
      { length: bytes.length },
      (_, i) => bytes[(i % (bytes.length / 3)) * 3 + Math.floor((3 * i) / bytes.length)]!,
    ),
  )
  const picture = imageGrid(Uint8Array.from(planes), Math.min(8, sequences.length))
  await writeFile(join(folder, `${name}.png`), await encodePng(picture))
}

/** A µ-law WAV file for each sound. */
export const writeSounds =
  (sampleRate: number): SampleWriter =>
  async (folder, name, sequences) => {
    await mkdir(folder, { recursive: true })
    for (const [i, classes] of sequences.entries()) {
      const samples = { data: muLawSamples(classes), shape: [1, classes.length] }
      await writeFile(
        join(folder, `${name}-${i + 1}.wav`),
        await encodeWav({ samples, sampleRate }, { encoding: 'mulaw' }),
      )
    }
  }
