import { TesseraError } from '@tessera/core'
import { dataError } from './bytes.ts'
import type { HostTensor } from './host-tensor.ts'

/** Sound, from −1 to 1. */
export interface Sound {
  /** f32 `[channels, samples]` */
  readonly samples: HostTensor<Float32Array>
  /** In hertz. */
  readonly sampleRate: number
}

/**
 * Decodes a WAV file: 8 to 32 bits, floating-point, A-law, µ-law or IMA ADPCM. Needs the package `wavefile`, in Node and in browsers.
 *
 * @throws TesseraError with code `DATA_FILE` when the file is none, or damaged
 */
export async function decodeWav(file: Uint8Array): Promise<Sound> {
  const text = (start: number) => String.fromCharCode(...file.subarray(start, start + 4))
  if (file.length < 44 || !['RIFF', 'RIFX', 'RF64'].includes(text(0)) || text(8) !== 'WAVE') {
    throw dataError(`The sound of ${file.length} bytes is no WAV file: it must begin with RIFF and WAVE.`)
  }
  const WaveFile = await loadWaveFile()
  try {
    const wave = new WaveFile(file)
    const { sampleRate, bitsPerSample, audioFormat, numChannels } = wave.fmt as Format
    if (audioFormat === 7) wave.fromMuLaw()
    else if (audioFormat === 6) wave.fromALaw()
    else if (audioFormat === 17) wave.fromIMAADPCM()
    const isFloat = audioFormat === 3 || (audioFormat === 0xfffe && wave.bitDepth.endsWith('f'))
    const bits = [6, 7, 17].includes(audioFormat) ? 16 : bitsPerSample
    const found = wave.getSamples(false, Float64Array) as unknown as Float64Array | Float64Array[]
    const channels = numChannels === 1 ? [found as Float64Array] : (found as Float64Array[])
    const length = channels[0]!.length
    const data = new Float32Array(channels.length * length)
    // 8-bit samples are unsigned, around 128.
    const [offset, largest] = isFloat ? [0, 1] : bits === 8 ? [128, 128] : [0, 2 ** (bits - 1)]
    channels.forEach((channel, c) => {
      for (let i = 0; i < length; i++) data[c * length + i] = (channel[i]! - offset) / largest
    })
    return { samples: { data, shape: [channels.length, length] }, sampleRate }
  } catch (cause) {
    throw dataError(`The WAV file cannot be read: ${(cause as Error).message}.`, cause)
  }
}

interface Format {
  readonly sampleRate: number
  readonly bitsPerSample: number
  readonly audioFormat: number
  readonly numChannels: number
}

export interface EncodeWavOptions {
  /** `'16'` bits by default, `'32f'` floating-point, `'mulaw'` 8-bit µ-law. */
  readonly encoding?: '16' | '32f' | 'mulaw'
}

/** Encodes a WAV file; samples beyond −1 and 1 are cut off, but not in floating-point. Needs the package `wavefile`. */
export async function encodeWav(
  { samples, sampleRate }: Sound,
  { encoding = '16' }: EncodeWavOptions = {},
): Promise<Uint8Array> {
  const [channels, length] = samples.shape
  if (samples.shape.length !== 2 || !channels || length === undefined) {
    throw new TesseraError(
      'DATA_OPTIONS',
      `encodeWav: takes samples [channels, time], got [${samples.shape.join(', ')}].`,
    )
  }
  const WaveFile = await loadWaveFile()
  const wave = new WaveFile()
  const scale = (x: number) => (encoding === '32f' ? x : Math.min(Math.max(Math.round(x * 32768), -32768), 32767))
  const rows = Array.from({ length: channels }, (_, c) =>
    Float64Array.from(samples.data.subarray(c * length, (c + 1) * length), scale),
  )
  wave.fromScratch(channels, sampleRate, encoding === '32f' ? '32f' : '16', channels === 1 ? rows[0]! : rows)
  if (encoding === 'mulaw') wave.toMuLaw()
  return wave.toBuffer()
}

async function loadWaveFile(): Promise<typeof import('wavefile').WaveFile> {
  const loaded = await import('wavefile').catch((cause) => {
    throw new TesseraError(
      'MISSING_PACKAGE',
      "WAV files are read and written by the package 'wavefile'. Install it: npm install wavefile",
      { cause },
    )
  })
  // A CommonJS module: Node gives its names under `default`, bundlers beside it.
  return loaded.WaveFile ?? (loaded as unknown as { default: typeof loaded }).default.WaveFile
}

/**
 * µ-law companding of ITU-T G.711 in its continuous form: `sign(x) ln(1 + µ|x|) / ln(1 + µ)`, split into µ + 1 classes, as for models of raw audio.
 *
 * @param samples from −1 to 1
 * @returns classes from 0 to µ
 */
export function muLawClasses(samples: Float32Array, mu = 255): Int32Array {
  return Int32Array.from(samples, (x) => {
    const clipped = Math.min(Math.max(x, -1), 1)
    const compressed = (Math.sign(clipped) * Math.log1p(mu * Math.abs(clipped))) / Math.log1p(mu)
    return Math.min(Math.floor(((compressed + 1) / 2) * mu + 0.5), mu)
  })
}

/** The middle of each class of `muLawClasses`. */
export function muLawSamples(classes: Int32Array, mu = 255): Float32Array {
  return Float32Array.from(classes, (index) => {
    const compressed = (2 * index) / mu - 1
    return (Math.sign(compressed) * Math.expm1(Math.abs(compressed) * Math.log1p(mu))) / mu
  })
}
