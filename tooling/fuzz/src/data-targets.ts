import { readFileSync } from 'node:fs'
import { cifar, decodeImage, decodeWav, encodePng, encodeWav, parseIdx } from '@tessera/nn/data'
import { importOnnx } from '@tessera/onnx'
import jpeg from 'jpeg-js'
import type { FuzzTarget } from './target.ts'

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../../packages/onnx/fixtures/${name}.onnx`, import.meta.url)))

/** The parsers of data and of other programs' files. */
export const dataTargets: readonly FuzzTarget[] = [
  {
    name: 'onnx',
    seeds: () => [fixture('convolutional'), fixture('recurrent')],
    dictionary: ['Conv', 'Constant', 'If', 'pads'],
    parse: (bytes) => importOnnx(bytes),
  },
  {
    name: 'idx',
    seeds: () => [
      Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 3, 7),
      Uint8Array.of(0, 0, 13, 2, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4),
    ],
    parse: parseIdx,
  },
  { name: 'cifar', seeds: () => [new Uint8Array(3073)], parse: (bytes) => cifar([bytes]) },
  {
    name: 'image',
    seeds: async () => [
      await encodePng({ data: new Uint8Array(48).map((_, i) => i * 5), shape: [3, 4, 4] }),
      Uint8Array.from(jpeg.encode({ data: new Uint8Array(1024).fill(99), width: 16, height: 16 }, 60).data),
    ],
    dictionary: ['IHDR', 'PLTE', 'IDAT', 'tRNS', 'IEND', 'JFIF'],
    parse: (bytes) => decodeImage(bytes, { maximumPixels: 2 ** 20 }),
  },
  {
    name: 'wav',
    seeds: async () => {
      const samples = { data: new Float32Array(40).map((_, i) => Math.sin(i)), shape: [1, 40] }
      return Promise.all(
        (['16', '32f', 'mulaw'] as const).map((encoding) => encodeWav({ samples, sampleRate: 8000 }, { encoding })),
      )
    },
    dictionary: ['RIFF', 'WAVE', 'fmt ', 'data', 'fact', 'LIST'],
    parse: decodeWav,
  },
]
