import type { Expression, Operand } from '../../assembler/index.ts'
import { i32 } from '../../assembler/index.ts'
import type { ElementFormat } from './elements.ts'

/** The i32 words of a descriptor, in order. Strides are in elements. */
const wordNames = [
  'm',
  'n',
  'k',
  'aRowStride',
  'aColumnStride',
  'bRowStride',
  'bColumnStride',
  'cRowStride',
  'cColumnStride',
  'batch0',
  'batch1',
  'batch2',
  'aBatchStride0',
  'aBatchStride1',
  'aBatchStride2',
  'bBatchStride0',
  'bBatchStride1',
  'bBatchStride2',
  'cBatchStride0',
  'cBatchStride1',
  'cBatchStride2',
  'addendRowStride',
  'addendColumnStride',
  'addendBatchStride0',
  'addendBatchStride1',
  'addendBatchStride2',
  /** 1 if A and B trade places: the plan computes Cᵀ = Bᵀ · Aᵀ. */
  'swapped',
  /** 0: none, 1: a matrix at the address `addend`, 2: C itself. */
  'addendKind',
  /** One of `method`. */
  'method',
  /** One of `aLayoutCode`. */
  'aLayout',
  /** One of `bSource`. */
  'bSource',
  /** Bytes of packed B for each step of k, where all of it is packed beforehand. */
  'packedStep',
  /** Columns in a unit of packing. */
  'packColumns',
  /** Block sizes: rows of A, depth, columns of B that are packed at a time. */
  'mc',
  'kc',
  'nc',
  /** Rows and columns in a unit of work, and the number of units along both in one matrix. */
  'unitRows',
  'unitColumns',
  'rowUnits',
  'columnUnits',
  /** Of a streamed product: rows of B in a unit of depth, and the number of these units; else 0. */
  'unitDepth',
  'depthUnits',
  /** 1 if C is the place of one unit, whatever the unit. */
  'isStaged',
  /** Bytes of scratch of one thread. */
  'scratchStep',
  /** Byte offsets of the packed parts in a thread's scratch; narrow rows of A are widened to the first by `axpy` and `dot`. */
  'aScratch',
  'bScratch',
] as const

export type DescriptorWord = (typeof wordNames)[number]

/** Bytes of a descriptor. */
export const matmulDescriptorBytes = 4 * wordNames.length

/** How a product is computed. */
export const method = {
  /** Blocks of tiles. */
  tiles: 0,
  /** Few rows, B row-major: C += a[k] · B[k, :], streaming rows of B. */
  axpy: 1,
  /** Few rows, B column-major: one dot product for each column. */
  dot: 2,
} as const

/** Where the tiles read B. */
export const bSource = {
  /** Each unit of work packs the part that it needs. */
  unit: 0,
  /** Where it lies. */
  inPlace: 1,
  /** All of it is packed before any unit of work. */
  shared: 2,
} as const

/** The values of all words, as a plan holds them. */
export type DescriptorWords = Readonly<Record<DescriptorWord, number>>

/** The words in memory order. */
export function encodeDescriptor(words: DescriptorWords): Int32Array {
  return Int32Array.from(wordNames, (name) => words[name])
}

/** Loads a word of the descriptor at an address. */
export function word(descriptor: Operand<'i32'>, name: DescriptorWord): Expression<'i32'> {
  return i32.load(descriptor, 4 * wordNames.indexOf(name))
}

/** Loads a stride of the descriptor in bytes, for an operand of that format. */
export function strideBytes(
  descriptor: Operand<'i32'>,
  name: DescriptorWord,
  format: ElementFormat = 'f32',
): Expression<'i32'> {
  return i32.shl(word(descriptor, name), format === 'f32' ? 2 : 1)
}
