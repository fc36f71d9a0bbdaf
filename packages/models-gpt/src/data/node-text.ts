import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { findInvalidUtf8 } from '../tokenizers/utf8.ts'
import { DataError } from './data-error.ts'

/** How a text is read. */
export interface ReadTextOptions {
  /** The largest file, and the largest text after decompression, in bytes. Default 256 MiB. */
  readonly maximumBytes?: number
}

/** V8 holds no string of more UTF-16 units. */
const longestString = 2 ** 29 - 24
const defaultMaximum = 2 ** 28

/**
 * Reads a file of UTF-8 text, compressed with gzip or not (its first bytes tell). A byte order mark is dropped.
 *
 * @throws DataError for a path that is missing or no regular file, and for contents that are empty, too large, damaged
 * or not text, with the place of the first byte that is not
 * @example
 * ```ts no-run
 * const text = await readText('tinyshakespeare.txt.gz')
 * ```
 */
export async function readText(path: string, { maximumBytes = defaultMaximum }: ReadTextOptions = {}): Promise<string> {
  if (!Number.isSafeInteger(maximumBytes) || maximumBytes < 1 || maximumBytes > longestString) {
    throw new DataError(
      'DATASET_INVALID_OPTION',
      `${path}: maximumBytes must be an integer from 1 to ${longestString}, the longest string, not ${maximumBytes}.`,
    )
  }
  const file = await readFile(path, maximumBytes)
  const bytes = file[0] === 0x1f && file[1] === 0x8b ? await decompress(path, file, maximumBytes) : file
  const text = decodeText(path, bytes)
  if (text.trim() === '') {
    throw new DataError('TEXT_EMPTY', `${path}: the file has ${bytes.length} bytes and no text. Give a file with text.`)
  }
  return text
}

async function readFile(path: string, maximumBytes: number): Promise<Uint8Array> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    const stats = await handle.stat()
    if (stats.isDirectory()) {
      throw new DataError('TEXT_NOT_A_FILE', `${path} is a folder. Give the path of a text file in it.`)
    }
    // A device or pipe may never end.
    if (!stats.isFile()) {
      throw new DataError('TEXT_NOT_A_FILE', `${path} is not a regular file. Save its contents in a file first.`)
    }
    if (stats.size > maximumBytes) throw tooLarge(path, `the file has ${stats.size} bytes`, maximumBytes)
    return await handle.readFile()
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new DataError('TEXT_NOT_FOUND', `${path} does not exist. Check the path.`, { cause })
    }
    throw new DataError(
      'TEXT_READ_FAILED',
      `${path} could not be read: ${(cause as Error).message}. Check the path and its permissions.`,
      { cause },
    )
  } finally {
    await handle?.close()
  }
}

async function decompress(path: string, file: Uint8Array, maximumBytes: number): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(file, { maxOutputLength: maximumBytes })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw tooLarge(path, 'the text is longer after decompression', maximumBytes)
    }
    throw new DataError(
      'TEXT_READ_FAILED',
      `${path}: the gzip data are damaged (${(cause as Error).message}). Fetch the file again.`,
      { cause },
    )
  }
}

function decodeText(path: string, bytes: Uint8Array): string {
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  const hint = isUtf16 ? 'It seems to be UTF-16: save it as UTF-8.' : 'Give a file of UTF-8 text.'
  const zero = bytes.indexOf(0)
  const invalid = firstInvalidByte(bytes)
  if (invalid >= 0 && (zero < 0 || invalid < zero)) {
    const value = bytes[invalid]!.toString(16).padStart(2, '0')
    throw new DataError('TEXT_BINARY', `${path}: the byte at offset ${invalid} (0x${value}) is not UTF-8 text. ${hint}`)
  }
  if (zero >= 0) {
    throw new DataError('TEXT_BINARY', `${path}: the byte at offset ${zero} is 0, so this is a binary file. ${hint}`)
  }
  return new TextDecoder().decode(bytes)
}

function firstInvalidByte(bytes: Uint8Array): number {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return -1
  } catch {
    // The decoder does not say where.
    return findInvalidUtf8(bytes)
  }
}

function tooLarge(path: string, what: string, maximumBytes: number): DataError {
  return new DataError(
    'TEXT_TOO_LARGE',
    `${path}: ${what}, and the limit is ${maximumBytes}. Give a part of it or raise maximumBytes.`,
  )
}
