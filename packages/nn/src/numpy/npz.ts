import { unzipSync, type Zippable, zipSync } from 'fflate'
import { NumpyError } from './errors.ts'
import { encodeNpy, type NumpyArray, parseNpy } from './npy.ts'

export interface ParseNpzOptions {
  /** Files that become larger than this when they are unpacked are refused; 2^31 by default. */
  readonly maximumBytes?: number
}

/**
 * Reads a `.npz` file, a ZIP archive of `.npy` files as `numpy.savez` and `savez_compressed` write it. What the archive says its files will take is checked before
 * they are unpacked.
 *
 * @returns arrays by name, in the order of the archive
 * @throws NumpyError when the archive is damaged, too large, or holds something else
 */
export function parseNpz(file: Uint8Array, options: ParseNpzOptions = {}): Map<string, NumpyArray> {
  const { maximumBytes = 2 ** 31 } = options
  let total = 0
  const names: string[] = []
  let refusal: NumpyError | undefined
  const filter = ({ name, originalSize }: { name: string; originalSize: number }): boolean => {
    total += originalSize
    names.push(name)
    if (!name.endsWith('.npy'))
      refusal ??= new NumpyError(`the archive holds ${JSON.stringify(name.slice(0, 80))}, which is no .npy file`)
    if (total > maximumBytes)
      refusal ??= new NumpyError(`unpacked it has more than ${maximumBytes} bytes. Raise maximumBytes if that is right`)
    return refusal === undefined
  }
  let files: Record<string, Uint8Array>
  try {
    files = unzipSync(file, { filter })
  } catch (cause) {
    throw refusal ?? new NumpyError(`the archive is damaged: ${(cause as Error).message}`, { cause })
  }
  if (refusal) throw refusal
  if (new Set(names).size !== names.length) throw new NumpyError('two arrays of the archive have one name')
  return new Map(names.map((name) => [name.slice(0, -4), parseNpy(files[name]!)]))
}

export interface EncodeNpzOptions {
  /** Whether arrays are compressed; true by default. */
  readonly compressed?: boolean
}

/**
 * Writes a `.npz` file that `numpy.load` reads.
 *
 * @example
 * ```ts
 * import { encodeNpz, parseNpz } from '@tessera/nn/interop'
 * const file = encodeNpz({ x: { dtype: 'i32', shape: [2], data: Int32Array.of(3, 4) } })
 * console.log(parseNpz(file).get('x')?.data) // [3, 4]
 * ```
 */
export function encodeNpz(
  arrays: Readonly<Record<string, NumpyArray>>,
  { compressed = true }: EncodeNpzOptions = {},
): Uint8Array<ArrayBuffer> {
  const files: Zippable = Object.fromEntries(
    Object.entries(arrays).map(([name, array]) => [`${name}.npy`, [encodeNpy(array), { level: compressed ? 6 : 0 }]]),
  )
  // A fixed time, so that the same arrays give the same bytes.
  return zipSync(files, { mtime: new Date(1980, 0, 1) })
}
