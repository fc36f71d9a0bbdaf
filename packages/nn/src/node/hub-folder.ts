import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, stat, truncate } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve, sep } from 'node:path'
import { TesseraError } from '@tessera/core'
import { downloadInto, type HubFileOptions, type HubStore, type PartialFile } from '../hub/download.ts'

export interface DownloadHubFileOptions extends HubFileOptions {
  /** Where files are kept; by default `~/.cache/tessera/hub`. */
  readonly folder?: string
}

/**
 * Loads a file of the Hugging Face hub into a folder, unless it is there, and gives its path. A download that was interrupted goes on where it stopped, and a file
 * counts only when its size and checksum are those that the hub announced. Needs the package `@huggingface/hub`.
 *
 * @throws HubError
 * @example
 * ```ts no-run
 * import { downloadHubFile, readSafetensorsFile } from '@tessera/nn/node'
 * const path = await downloadHubFile({ repo: 'openai-community/gpt2', path: 'model.safetensors' })
 * const { tensors } = await readSafetensorsFile(path)
 * ```
 */
export async function downloadHubFile(options: DownloadHubFileOptions): Promise<string> {
  const { folder = join(homedir(), '.cache', 'tessera', 'hub'), ...file } = options
  return downloadInto(folderStore(resolve(folder)), file)
}

function folderStore(folder: string): HubStore<string> {
  const pathOf = (key: string): string => {
    const path = resolve(folder, key)
    if (path.startsWith(folder + sep)) return path
    throw new TesseraError(
      'HUB_PATH',
      `${JSON.stringify(key)} leads out of the folder ${folder}. Give the path of a file inside the repository.`,
    )
  }
  return {
    find: async (key, size) => ((await sizeOf(pathOf(key))) === size ? pathOf(key) : undefined),
    begin: async (key) => {
      const path = pathOf(key)
      await mkdir(dirname(path), { recursive: true })
      const partial = `${path}.part`
      return new FileOnDisk(path, partial, await open(partial, 'a'), (await sizeOf(partial)) ?? 0)
    },
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  )
}

class FileOnDisk implements PartialFile<string> {
  length: number
  readonly #path: string
  readonly #partial: string
  readonly #handle: FileHandle

  constructor(path: string, partial: string, handle: FileHandle, length: number) {
    this.#path = path
    this.#partial = partial
    this.#handle = handle
    this.length = length
  }

  async append(chunk: Uint8Array): Promise<void> {
    await this.#handle.appendFile(chunk)
    this.length += chunk.length
  }

  async digest(algorithm: 'SHA-1' | 'SHA-256', prefix: string): Promise<string> {
    const hash = createHash(algorithm.replace('-', '')).update(prefix)
    for await (const chunk of createReadStream(this.#partial)) hash.update(chunk as Uint8Array)
    return hash.digest('hex')
  }

  async finish(): Promise<string> {
    await this.#handle.sync()
    await this.#handle.close()
    await rename(this.#partial, this.#path)
    return this.#path
  }

  async discard(): Promise<void> {
    await truncate(this.#partial)
    this.length = 0
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
