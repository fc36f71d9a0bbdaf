import { TesseraError } from '@tessera/core'
import { fixedHeads, strided } from '@tessera/kernel-sparse-attention'
import {
  type SparseTransformerConfiguration,
  type SparseTransformerOptions,
  sparseTransformerConfiguration,
} from './configuration.ts'

const audio = ({
  stride,
  ...sizes
}: Pick<SparseTransformerOptions, 'length' | 'layers' | 'heads' | 'width'> & { stride: number }) =>
  ({ ...sizes, attention: [strided(stride)], positions: { kind: 'attention', period: stride } }) as const

/**
 * Child et al. 2019, section 7, and small models of the same make. CIFAR-10 halves the feed-forward layer and the queries and keys; its stride, 96 = 32 · 3, is
 * that of the released code. The paper prints the lengths and the numbers of parameters of its audio models, 152, 25 and 3 million (table 4), and no sizes:
 those here are ours and give these numbers.
 */
const presets = {
  enwik8: {
    layers: 30,
    heads: 8,
    width: 512,
    length: 12288,
    attention: [fixedHeads(128, 32, 8)],
    positions: { kind: 'attention', period: 128 },
    dropout: 0.4,
  },
  'cifar-10': {
    layers: 128,
    heads: 2,
    width: 256,
    keyWidth: 64,
    feedForwardWidth: 512,
    length: 3072,
    attention: [strided(96)],
    positions: { kind: 'data', extents: [32, 32, 3] },
    dropout: 0.25,
  },
  'imagenet-64': {
    layers: 48,
    heads: 16,
    width: 512,
    length: 12288,
    attention: [strided(128)],
    positions: { kind: 'data', extents: [64, 64, 3] },
    dropout: 0.01,
  },
  'audio-65k': audio({ length: 65536, layers: 48, heads: 16, width: 512, stride: 256 }),
  'audio-262k': audio({ length: 262144, layers: 32, heads: 8, width: 256, stride: 512 }),
  'audio-1m': audio({ length: 1048576, layers: 14, heads: 4, width: 128, stride: 1024 }),
  /** Bytes of text. */
  'text-small': {
    layers: 4,
    heads: 4,
    width: 64,
    length: 1024,
    embeddingScale: 32,
    attention: [fixedHeads(32, 8, 4)],
    positions: { kind: 'attention', period: 32 },
  },
  /** Grey images of 28 × 28. */
  'image-small': {
    layers: 4,
    heads: 2,
    width: 64,
    length: 784,
    embeddingScale: 32,
    attention: [strided(28)],
    positions: { kind: 'data', extents: [28, 28] },
  },
  /** Colour images of 32 × 32, as CIFAR-10. */
  'cifar-small': {
    layers: 4,
    heads: 2,
    width: 64,
    keyWidth: 16,
    feedForwardWidth: 128,
    length: 3072,
    embeddingScale: 32,
    attention: [strided(96)],
    positions: { kind: 'data', extents: [32, 32, 3] },
  },
  /** µ-law samples. */
  'audio-small': {
    layers: 4,
    heads: 2,
    width: 64,
    length: 4096,
    embeddingScale: 32,
    attention: [strided(64)],
    positions: { kind: 'attention', period: 64 },
  },
} as const satisfies Record<string, SparseTransformerOptions>

/** Name of a preset. */
export type SparseTransformerPreset = keyof typeof presets

/** Names of all presets. */
export const sparseTransformerPresetNames = Object.keys(presets) as readonly SparseTransformerPreset[]

/**
 * Configuration of a preset, with changes if wanted.
 *
 * @throws TesseraError `SPARSE_TRANSFORMER_PRESET` for an unknown name
 */
export function sparseTransformerPreset(
  name: SparseTransformerPreset,
  changes: Partial<SparseTransformerOptions> = {},
): SparseTransformerConfiguration {
  if (!Object.hasOwn(presets, name)) {
    throw new TesseraError(
      'SPARSE_TRANSFORMER_PRESET',
      `sparseTransformerPreset: '${name}' is not known. Known: ${sparseTransformerPresetNames.join(', ')}.`,
    )
  }
  return sparseTransformerConfiguration({ ...presets[name], ...changes })
}
