import { randomBytes } from 'node:crypto'
import { type FileHandle, open, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { SafetensorsError, shown } from './errors.ts'
import { parseSafetensorsHeader, prefixLength, type SafetensorsHeader, safetensorsHeaderLength } from './header.ts'
import type { SafetensorsFile, SafetensorsTensor } from './reader.ts'
import { type SafetensorsInputs, safetensorsChunks } from './writer.ts'

/** The most bytes for one call to the operating system, which takes less than 2 GiB. */
const pieceLength = 1 << 26

/** An open file whose header has been checked; tensors are read one at a time. */
export interface OpenSafetensorsFile extends SafetensorsHeader {
  /** Reads one tensor into memory of its own. */
  read(name: string): Promise<SafetensorsTensor>
  close(): Promise<void>
}

/**
 * Opens a safetensors file and checks its header against its size, without reading the data: for files that are larger
 * than memory, or of which only a few tensors are wanted.
 *
 * @throws SafetensorsError when the file cannot be opened or does not follow the format
 */
export async function openSafetensorsFile(path: string): Promise<OpenSafetensorsFile> {
  const handle = await open(path, 'r').catch((cause) => failReading(path, cause))
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) failReading(path, new Error('it is not a regular file'))
    const prefix = await readExactly(handle, path, 0, Math.min(prefixLength, stats.size))
    const headerLength = safetensorsHeaderLength(prefix, stats.size)
    const dataStart = prefixLength + headerLength
    const header = await readExactly(handle, path, prefixLength, headerLength)
    const { metadata, tensors } = parseSafetensorsHeader(header, stats.size - dataStart)
    return {
      metadata,
      tensors,
      async read(name) {
        const info = tensors.get(name)
        if (!info) {
          return failReading(path, new Error(`it has no tensor ${shown(name)}, but ${shown([...tensors.keys()])}`))
        }
        const { dtype, shape, begin, end } = info
        return { dtype, shape, bytes: await readExactly(handle, path, dataStart + begin, end - begin) }
      },
      close: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    if (error instanceof SafetensorsError) {
      throw new SafetensorsError(error.code, `${path}: ${error.message}`, { cause: error.cause })
    }
    return failReading(path, error)
  }
}

/**
 * Reads a whole safetensors file; every tensor gets memory of its own.
 *
 * @throws SafetensorsError when the file cannot be read or does not follow the format
 */
export async function readSafetensorsFile(path: string): Promise<SafetensorsFile> {
  const file = await openSafetensorsFile(path)
  try {
    const tensors = new Map<string, SafetensorsTensor>()
    for (const name of file.tensors.keys()) tensors.set(name, await file.read(name))
    return { metadata: file.metadata, tensors }
  } finally {
    await file.close()
  }
}

/**
 * Writes a safetensors file so that the path holds either the previous file or the complete new one, whatever happens:
 * the bytes go to a temporary file in the same folder, are flushed to the disk, and then take the name.
 * On failure (a full disk, say) the temporary file is removed.
 *
 * @throws SafetensorsError with code `SAFETENSORS_WRITE_FAILED` and the system's error as its cause
 */
export async function writeSafetensorsFile(
  path: string,
  tensors: SafetensorsInputs,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const chunks = safetensorsChunks(tensors, metadata)
  let temporary: string | undefined
  let handle: FileHandle | undefined
  try {
    // Through a symbolic link the file it points to is replaced, not the link.
    const target = await realpath(path).catch(() => resolve(path))
    temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
    handle = await open(temporary, 'wx')
    for (const chunk of chunks) await writeAll(handle, chunk)
    await handle.sync()
    await handle.close()
    handle = undefined
    await rename(temporary, target)
  } catch (cause) {
    await handle?.close().catch(() => undefined)
    if (temporary) await rm(temporary, { force: true }).catch(() => undefined)
    const { code, message } = cause as NodeJS.ErrnoException
    const cure =
      code === 'ENOSPC'
        ? 'The disk is full: free some space or choose another folder. '
        : 'Check that the folder exists and can be written to. '
    throw new SafetensorsError(
      'SAFETENSORS_WRITE_FAILED',
      `${path} could not be written: ${message}. ${cure}What the path held before is unchanged.`,
      { cause },
    )
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let position = 0; position < chunk.length; ) {
    const piece = chunk.subarray(position, position + pieceLength)
    const { bytesWritten } = await handle.write(piece, 0, piece.length)
    if (bytesWritten === 0) throw new Error(`the system took none of the last ${piece.length} bytes`)
    position += bytesWritten
  }
}

async function readExactly(handle: FileHandle, path: string, start: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await handle.read(bytes, filled, Math.min(length - filled, pieceLength), start + filled)
    if (bytesRead === 0) {
      throw new SafetensorsError(
        'SAFETENSORS_TRUNCATED',
        `${path}: the file ended at byte ${start + filled} while it was read; another program changed it. Read it again.`,
      )
    }
    filled += bytesRead
  }
  return bytes
}

function failReading(path: string, cause: unknown): never {
  throw new SafetensorsError(
    'SAFETENSORS_READ_FAILED',
    `${path} could not be read: ${(cause as Error).message}. Check the path.`,
    { cause },
  )
}
