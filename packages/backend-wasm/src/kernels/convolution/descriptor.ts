import type { Expression, Operand } from '../../assembler/index.ts'
import { i32 } from '../../assembler/index.ts'

/**
 * What the functions of a convolution read from memory: one product of filters with patches of a source, `target[row, column] =
 * Σ filter[row, channel, tap] · source[channel, position(column) + displacement(tap)]`, for each group. Distances are in bytes.
 */
const wordNames = [
  /** Filters, and positions over all images, of one group. */
  'rows',
  'columns',
  'channels',
  'taps',
  'groups',
  /** The positions of one image, and the distance in the source of neighbouring ones, in elements. */
  'gridZ',
  'gridY',
  'gridX',
  'stepZ',
  'stepY',
  'stepX',
  /** The source: its spatial extents in elements, and how it lies in memory. */
  'extentZ',
  'extentY',
  'extentX',
  'sourceImage',
  'sourceGroup',
  'sourceChannel',
  'sourcePlane',
  'sourceRow',
  'filterGroup',
  'filterRow',
  'filterChannel',
  'targetImage',
  'targetGroup',
  'targetRow',
  'targetZ',
  'targetY',
  'targetX',
  /** Sizes of the blocks that are packed at a time; of rows a multiple of the tile's, of columns of its width. */
  'blockChannels',
  'blockColumns',
  'blockRows',
  /** How filters are read: see `filterLayout`. */
  'filterLayout',
  /** Threads share rows (1) or columns (0), `unit` of them at a time, `units` of each group. */
  'splitRows',
  'unit',
  'units',
  /** For an epilogue: rows and positions of one image in a unit of work, and the number of units along both; 0 without one. */
  'unitRows',
  'unitColumns',
  'rowUnits',
  'columnUnits',
  /** Offsets in a thread's scratch memory. */
  'scratchTables',
  'scratchFilters',
  'scratchPatches',
  'scratchRows',
] as const

export type DescriptorWord = (typeof wordNames)[number]
export type DescriptorWords = Readonly<Record<DescriptorWord, number>>

/** How the filters of a product lie in memory. */
export const filterLayout = {
  /** Each filter is contiguous, and read where it lies. */
  inPlace: 0,
  /** Each filter is contiguous, and packed by rows of a tile. */
  contiguous: 1,
  /** Taps are picked from the table. */
  picked: 2,
} as const

/** One tap: displacement in the source, in elements, and position in the filter, in bytes. */
export interface Tap {
  readonly z: number
  readonly y: number
  readonly x: number
  readonly filterOffset: number
}

const wordsOfTap = 4
const tapTable = 4 * wordNames.length

/** The words of a descriptor with its taps, in memory order. */
export function encodeDescriptor(words: DescriptorWords, taps: readonly Tap[]): number[] {
  return [
    ...wordNames.map((name) => words[name]),
    ...taps.flatMap(({ z, y, x, filterOffset }) => [z, y, x, filterOffset]),
  ]
}

/** Loads a word of the descriptor at an address. */
export function word(descriptor: Operand<'i32'>, name: DescriptorWord): Expression<'i32'> {
  return i32.load(descriptor, 4 * wordNames.indexOf(name))
}

/** Address of the entry of a tap, whose members `tapWord` loads. */
export function tapAddress(descriptor: Operand<'i32'>, tap: Operand<'i32'>): Expression<'i32'> {
  return i32.add(descriptor, i32.add(i32.mul(tap, 4 * wordsOfTap), tapTable))
}

export function tapWord(entry: Operand<'i32'>, name: keyof Tap): Expression<'i32'> {
  return i32.load(entry, 4 * ['z', 'y', 'x', 'filterOffset'].indexOf(name))
}
