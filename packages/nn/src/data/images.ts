import { TesseraError } from '@tessera/core'
import { dataError } from './bytes.ts'
import type { HostTensor } from './host-tensor.ts'

export interface DecodeImageOptions {
  /** 1 for grey, 3 for colour, 4 with transparency; 3 by default. */
  readonly channels?: 1 | 3 | 4
  /** Larger images are refused before memory is taken; 2^27 by default. */
  readonly maximumPixels?: number
}

/** Pixels side by side: `[height, width, channels]` in memory. */
interface Interleaved {
  readonly data: ArrayLike<number>
  readonly width: number
  readonly height: number
  readonly channels: number
  /** The value of white. */
  readonly largest: number
  readonly palette?: readonly (readonly number[])[]
}

/**
 * Decodes a PNG or JPEG file, in Node and in browsers. Needs the package `fast-png` or `jpeg-js`, which is loaded when the first image of its kind comes.
 *
 * @returns u8 `[channels, height, width]`
 * @throws TesseraError with code `DATA_FILE` when the file is neither, damaged or too large
 */
export async function decodeImage(
  file: Uint8Array,
  { channels = 3, maximumPixels = 2 ** 27 }: DecodeImageOptions = {},
): Promise<HostTensor<Uint8Array>> {
  const decode = isPng(file) ? decodePng : file[0] === 0xff && file[1] === 0xd8 ? decodeJpeg : undefined
  if (!decode)
    throw dataError(`The image begins with [${[...file.subarray(0, 4)].join(', ')}], which is neither PNG nor JPEG.`)
  const image = await decode(file, maximumPixels)
  return planes(image, channels)
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

function isPng(file: Uint8Array): boolean {
  return signature.every((byte, i) => file[i] === byte)
}

async function decodePng(file: Uint8Array, maximumPixels: number): Promise<Interleaved> {
  if (file.length < 24) throw dataError(`The PNG file ends after ${file.length} bytes. Load it again.`)
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const [width, height] = [view.getUint32(16), view.getUint32(20)]
  checkSize(width, height, maximumPixels)
  const { decode } = await import('fast-png').catch(missing('PNG files are read and written', 'fast-png'))
  try {
    const { data, depth, channels, palette } = decode(file)
    if (depth < 8) throw new RangeError(`${depth} bits a channel are not supported; 8 and 16 are`)
    return { data, width, height, channels, largest: depth === 16 ? 65535 : 255, ...(palette && { palette }) }
  } catch (cause) {
    throw dataError(`The PNG file of ${width} × ${height} pixels cannot be read: ${(cause as Error).message}.`, cause)
  }
}

async function decodeJpeg(file: Uint8Array, maximumPixels: number): Promise<Interleaved> {
  const { decode } = await import('jpeg-js').catch(missing('JPEG files are read', 'jpeg-js'))
  try {
    const { data, width, height } = decode(file, {
      useTArray: true,
      formatAsRGBA: false,
      maxResolutionInMP: maximumPixels / 1e6,
      tolerantDecoding: false,
    })
    return { data, width, height, channels: 3, largest: 255 }
  } catch (cause) {
    throw dataError(`The JPEG file cannot be read: ${(cause as Error).message}.`, cause)
  }
}

function checkSize(width: number, height: number, maximumPixels: number): void {
  if (width === 0 || height === 0 || width * height > maximumPixels) {
    throw dataError(
      `The image has ${width} × ${height} pixels, at most ${maximumPixels} are allowed: raise maximumPixels if that is right.`,
    )
  }
}

function missing(what: string, name: string): (cause: unknown) => never {
  return (cause) => {
    throw new TesseraError('MISSING_PACKAGE', `${what} by the package '${name}'. Install it: npm install ${name}`, {
      cause,
    })
  }
}

/** Channels one after another, as many as asked for. Grey is ITU-R BT.601's luma. */
function planes(
  { data, width, height, channels: given, largest, palette }: Interleaved,
  channels: number,
): HostTensor<Uint8Array> {
  const area = width * height
  const result = new Uint8Array(channels * area)
  const scale = 255 / largest
  for (let i = 0; i < area; i++) {
    const source = palette ? (palette[data[i]!] ?? [0, 0, 0]) : undefined
    const at = (channel: number) => (source ? source[channel] : data[i * given + channel])!
    const count = source ? source.length : given
    const isGrey = count < 3
    const [red, green, blue] = isGrey ? [at(0), at(0), at(0)] : [at(0), at(1), at(2)]
    const alpha = count === 2 ? at(1) : count === 4 ? at(3) : largest
    if (channels === 1) result[i] = Math.round((isGrey ? red : 0.299 * red + 0.587 * green + 0.114 * blue) * scale)
    else {
      result[i] = Math.round(red * scale)
      result[area + i] = Math.round(green * scale)
      result[2 * area + i] = Math.round(blue * scale)
      if (channels === 4) result[3 * area + i] = Math.round(alpha * scale)
    }
  }
  return { data: result, shape: [channels, height, width] }
}

/**
 * Encodes an image as a PNG file. Needs the package `fast-png`.
 *
 * @param image u8 `[channels, height, width]` with 1, 3 or 4 channels
 */
export async function encodePng({ data, shape }: HostTensor<Uint8Array>): Promise<Uint8Array> {
  const [channels, height, width] = shape
  if (shape.length !== 3 || ![1, 3, 4].includes(channels!) || !height || !width) {
    throw new TesseraError(
      'DATA_OPTIONS',
      `encodePng: takes [1, 3 or 4 channels, height, width], got [${shape.join(', ')}].`,
    )
  }
  const { encode } = await import('fast-png').catch(missing('PNG files are read and written', 'fast-png'))
  const area = width * height
  const pixels = new Uint8Array(data.length)
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < channels!; channel++) pixels[i * channels! + channel] = data[channel * area + i]!
  }
  return encode({ data: pixels, width, height, channels: channels as 1 | 3 | 4 })
}
