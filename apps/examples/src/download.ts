import { createHash } from 'node:crypto'
import { TesseraError } from '@tessera/core'
import { createLogUpdate } from 'log-update'

export interface Download {
  readonly url: string
  /** What the file is called in messages. */
  readonly name: string
  /** What to do if it cannot be had. */
  readonly cure: string
}

/**
 * Loads a file, with a bar where standard error is a terminal.
 *
 * @throws TesseraError `DOWNLOAD`
 */
export async function download({ url, name, cure }: Download, get = fetch): Promise<Uint8Array> {
  const failed = (why: string, cause?: unknown) =>
    new TesseraError('DOWNLOAD', `${url} could not be loaded: ${why}. Try again, or ${cure}.`, { cause })
  const response = await get(url).catch((cause: Error) => {
    throw failed(cause.message, cause)
  })
  if (!response.ok || !response.body) throw failed(`the server answers ${response.status}`)
  const total = Number(response.headers.get('content-length')) || undefined
  const bar = process.stderr.isTTY ? createLogUpdate(process.stderr) : undefined
  const parts: Uint8Array[] = []
  let loaded = 0
  try {
    for await (const part of response.body) {
      parts.push(part)
      loaded += part.length
      bar?.(progressLine(name, loaded, total))
    }
  } catch (cause) {
    throw failed(`it broke off after ${megabytes(loaded)}`, cause)
  } finally {
    bar?.done()
  }
  if (!bar) process.stderr.write(`${name}: ${megabytes(loaded)} loaded\n`)
  return Buffer.concat(parts)
}

/** @throws TesseraError `DOWNLOAD` when bytes have another MD5 sum than the one that was published */
export function checkSum(bytes: Uint8Array, md5: string, { url, cure }: Pick<Download, 'url' | 'cure'>): void {
  const found = createHash('md5').update(bytes).digest('hex')
  if (found !== md5)
    throw new TesseraError('DOWNLOAD', `${url} came with the MD5 sum ${found}, expected ${md5}. Try again, or ${cure}.`)
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

export function progressLine(name: string, loaded: number, total: number | undefined): string {
  if (total === undefined) return `${name}  ${megabytes(loaded)}`
  const width = 30
  const filled = Math.min(width, Math.floor((width * loaded) / total))
  return `${name}  ${'━'.repeat(filled)}${'─'.repeat(width - filled)}  ${Math.floor((100 * loaded) / total)} % of ${megabytes(total)}`
}
