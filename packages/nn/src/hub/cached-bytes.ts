import { downloadInto, type HubFileOptions, type HubStore, type PartialFile } from './download.ts'

export interface LoadHubFileOptions extends HubFileOptions {
  /**
   * Name of the browser's cache that keeps files; `tessera-hub` by default, `false` for none. Outside of browsers nothing is kept: use
   * `downloadHubFile` of `@tessera/nn/node` there.
   */
  readonly cache?: string | false
}

/**
 * The bytes of a file of the Hugging Face hub, from the browser's cache if it is there. Needs the package `@huggingface/hub`.
 *
 * @throws HubError
 * @example
 * ```ts no-run
 * import { parseSafetensors } from '@tessera/nn'
 * import { loadHubFile } from '@tessera/nn/hub'
 * const file = await loadHubFile({
 *   repo: 'openai-community/gpt2',
 *   path: 'model.safetensors',
 *   onProgress: ({ loaded, total }) => console.log(`${Math.round((100 * loaded) / total)} %`),
 * })
 * const { tensors } = parseSafetensors(file)
 * ```
 */
export async function loadHubFile({ cache = 'tessera-hub', ...options }: LoadHubFileOptions): Promise<Uint8Array> {
  const storage = cache === false || !('caches' in globalThis) ? undefined : await globalThis.caches.open(cache)
  return downloadInto(byteStore(storage), options)
}

/** Bytes in memory, kept as responses of a cache of the browser. */
function byteStore(cache: Cache | undefined): HubStore<Uint8Array> {
  const url = (key: string) => `https://hub.tessera.invalid/${key.split('/').map(encodeURIComponent).join('/')}`
  return {
    find: async (key, size) => {
      const response = await cache?.match(url(key))
      const bytes = response && new Uint8Array(await response.arrayBuffer())
      return bytes?.length === size ? bytes : undefined
    },
    begin: async (key) => new BytesInMemory(async (bytes) => cache?.put(url(key), new Response(bytes))),
  }
}

class BytesInMemory implements PartialFile<Uint8Array> {
  length = 0
  #parts: Uint8Array[] = []
  readonly #keep: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>

  constructor(keep: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>) {
    this.#keep = keep
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#parts.push(chunk)
    this.length += chunk.length
  }

  async digest(algorithm: 'SHA-1' | 'SHA-256', prefix: string): Promise<string> {
    const start = new TextEncoder().encode(prefix)
    const bytes = new Uint8Array(start.length + this.length)
    bytes.set(start)
    bytes.set(this.#joined(), start.length)
    const digest = new Uint8Array(await crypto.subtle.digest(algorithm, bytes))
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
  }

  async finish(): Promise<Uint8Array> {
    const bytes = this.#joined()
    await this.#keep(bytes)
    return bytes
  }

  async discard(): Promise<void> {
    this.#parts = []
    this.length = 0
  }

  async close(): Promise<void> {}

  #joined(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.length)
    let position = 0
    for (const part of this.#parts) {
      bytes.set(part, position)
      position += part.length
    }
    return bytes
  }
}
