import { TesseraError } from '@tessera/core'

/** Raised when a file cannot be had from the Hugging Face hub. */
export class HubError extends TesseraError {
  override readonly name = 'HubError'
}

/** A file on the hub. */
export interface HubFileOptions {
  /** For example `openai-community/gpt2`; `datasets/NAME` for a data set. */
  readonly repo: string
  /** Inside the repository, for example `model.safetensors`. */
  readonly path: string
  /** Branch, tag or commit; `main` by default. Name a commit for results that repeat. */
  readonly revision?: string
  /** For repositories that are not public. */
  readonly accessToken?: string
  /** By default https://huggingface.co. */
  readonly hubUrl?: string
  readonly onProgress?: (progress: HubProgress) => void
  /** Stops the download; what has come stays in the cache, and the next call goes on. */
  readonly signal?: AbortSignal
  /** By default the platform's. */
  readonly fetch?: typeof fetch
}

export interface HubProgress {
  readonly path: string
  /** Bytes so far, those from an earlier call included. */
  readonly loaded: number
  readonly total: number
}

/** Where files are kept. */
export interface HubStore<Stored> {
  /** The complete file of a key, if it is there. */
  find(key: string, size: number): Promise<Stored | undefined>
  /** What has come of a file so far. */
  begin(key: string): Promise<PartialFile<Stored>>
}

export interface PartialFile<Stored> {
  readonly length: number
  append(chunk: Uint8Array): Promise<void>
  /** Hexadecimal digest of a text and then the content. */
  digest(algorithm: 'SHA-1' | 'SHA-256', prefix: string): Promise<string>
  finish(): Promise<Stored>
  /** Forgets the content. */
  discard(): Promise<void>
  /** Ends writing and keeps the content for the next call. */
  close(): Promise<void>
}

/**
 * Gets a file into a store unless it is there: goes on where an earlier call stopped, and checks size and checksum before the file counts.
 *
 * @throws HubError with code `HUB_NOT_FOUND`, `HUB_DOWNLOAD`, or `HUB_CHECKSUM` when what came is not what the hub announced
 */
export async function downloadInto<Stored>(store: HubStore<Stored>, options: HubFileOptions): Promise<Stored> {
  const { path, revision = 'main', onProgress, signal } = options
  const hub = await loadLibrary()
  const name = options.repo.startsWith('datasets/')
    ? { type: 'dataset' as const, name: options.repo.slice('datasets/'.length) }
    : { type: 'model' as const, name: options.repo }
  const request = {
    repo: name,
    path,
    revision,
    fetch: withSignal(options.fetch ?? fetch, signal),
    ...(options.hubUrl !== undefined && { hubUrl: options.hubUrl }),
    ...(options.accessToken !== undefined && { accessToken: options.accessToken }),
  }
  const info = await hub.fileDownloadInfo(request).catch((cause) => {
    throw failure(options, cause)
  })
  if (!info) {
    throw new HubError(
      'HUB_NOT_FOUND',
      `${options.repo} has no file ${path} at ${revision}. Look at the names under "Files" of its page.`,
    )
  }
  const checksum = info.etag.replace(/^W\//, '').replaceAll('"', '')
  const key = `${name.type}s/${name.name}/${/^[\w-]{1,128}$/.test(checksum) ? checksum : 'unnamed'}/${path}`
  const known = await store.find(key, info.size)
  if (known !== undefined) return known

  const partial = await store.begin(key)
  if (partial.length > info.size) await partial.discard()
  let loaded = partial.length
  try {
    if (loaded < info.size) {
      const blob = await hub.downloadFile({ ...request, downloadInfo: info })
      const rest = loaded === 0 ? blob! : blob!.slice(loaded, info.size)
      for await (const chunk of rest.stream() as unknown as AsyncIterable<Uint8Array>) {
        await partial.append(chunk)
        loaded += chunk.length
        onProgress?.({ path, loaded, total: info.size })
        signal?.throwIfAborted()
      }
    }
  } catch (cause) {
    await partial.close()
    if (signal?.aborted) throw signal.reason
    throw failure(options, cause)
  }
  await verify(partial, loaded, info.size, checksum, options)
  return partial.finish()
}

/** Files of LFS have their SHA-256 as tag, others the SHA-1 that git gives them. */
async function verify(
  partial: PartialFile<unknown>,
  loaded: number,
  size: number,
  checksum: string,
  { repo, path }: HubFileOptions,
): Promise<void> {
  if (loaded < size) {
    await partial.close()
    throw new HubError(
      'HUB_DOWNLOAD',
      `${path} of ${repo} ended after ${loaded} of ${size} bytes. Call again: the download goes on there.`,
    )
  }
  const digest = /^[0-9a-f]{64}$/.test(checksum)
    ? await partial.digest('SHA-256', '')
    : /^[0-9a-f]{40}$/.test(checksum)
      ? await partial.digest('SHA-1', `blob ${size}\0`)
      : checksum
  if (loaded === size && digest === checksum) return
  await partial.discard()
  await partial.close()
  throw new HubError(
    'HUB_CHECKSUM',
    `${path} of ${repo} has ${loaded} bytes with the checksum ${digest}, the hub announced ${size} with ${checksum}. It was thrown away: call again.`,
  )
}

function failure({ repo, path, revision = 'main' }: HubFileOptions, cause: unknown): HubError {
  const { statusCode, message } = cause as { statusCode?: number; message?: string }
  if (statusCode === 404) {
    return new HubError(
      'HUB_NOT_FOUND',
      `There is no ${repo} at ${revision}, or it is not public. Check the name, or give an accessToken.`,
      { cause },
    )
  }
  if (statusCode === 401 || statusCode === 403) {
    return new HubError(
      'HUB_ACCESS',
      `The hub refused ${repo} (${statusCode}). Accept its conditions on its page and give an accessToken.`,
      { cause },
    )
  }
  return new HubError(
    'HUB_DOWNLOAD',
    `${path} of ${repo} could not be loaded: ${message}. Call again: the download goes on where it stopped.`,
    { cause },
  )
}

function withSignal(base: typeof fetch, signal: AbortSignal | undefined): typeof fetch {
  if (!signal) return base
  return (input, init) => base(input, { ...init, signal })
}

async function loadLibrary(): Promise<typeof import('@huggingface/hub')> {
  return import('@huggingface/hub').catch((cause) => {
    throw new TesseraError(
      'MISSING_PACKAGE',
      "Files of the Hugging Face hub are loaded by the package '@huggingface/hub'. Install it: npm install @huggingface/hub",
      { cause },
    )
  })
}
