import { TesseraError } from '@tessera/core'

/** Raised for every file of data that cannot be read. */
export function dataError(message: string, cause?: unknown): TesseraError {
  return new TesseraError('DATA_FILE', message, cause === undefined ? undefined : { cause })
}

/** The largest that a compressed file may become, so that a small file cannot fill the memory. */
const maximumLength = 2 ** 31

/** The bytes of a file, decompressed if they begin as gzip does. */
export async function unzipped(file: Uint8Array): Promise<Uint8Array> {
  if (file[0] !== 0x1f || file[1] !== 0x8b) return file
  const source = new Blob([file as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('gzip'))
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for await (const part of source as unknown as AsyncIterable<Uint8Array>) {
      length += part.length
      if (length > maximumLength) throw new RangeError(`more than ${maximumLength} bytes`)
      parts.push(part)
    }
  } catch (cause) {
    throw dataError('The gzip file is damaged or too large. Load it again.', cause)
  }
  const bytes = new Uint8Array(length)
  let position = 0
  for (const part of parts) {
    bytes.set(part, position)
    position += part.length
  }
  return bytes
}
