import { type MatmulTuning, tileColumns } from '../matmul/tuning.ts'
import type { Convolution, Product } from './problems.ts'

/** The i32 words of a product of planes, in order. Distances are in bytes. */
const wordNames = [
  'images',
  'groups',
  /** Of one group: filters that read it, and for the gradient to filters channels of the source. */
  'rows',
  'channels',
  /** Positions of the result, steps between them in the source and the extents of the source, in elements. */
  'gridY',
  'gridX',
  'stepY',
  'stepX',
  'extentY',
  'extentX',
  'sourceImage',
  'sourceGroup',
  'sourceChannel',
  'sourceRow',
  'filterGroup',
  'filterRow',
  'targetImage',
  'targetGroup',
  'targetRow',
  'targetY',
  'targetX',
  /** Least displacement of a tap, in elements. */
  'lowY',
  'lowX',
  /** Rows of the result that are computed from one padded band of the source, rows of that band, and bytes of one of them and of a band. */
  'bandRows',
  'planeRows',
  'pitch',
  'planeBytes',
  /** Entries of the table: taps of one channel after the other. */
  'entries',
  /** Groups that a unit of work computes, and units of one image. */
  'unitGroups',
  'units',
  /** 1 if the target is the place of one unit. */
  'isStaged',
  /** Offsets in a thread's scratch memory, behind the padded bands: rows of the error and sums of the gradient to filters. */
  'scratchErrors',
  'scratchSums',
  /** Bytes of a padded row of the error. */
  'errorPitch',
] as const

export type DepthwiseWord = (typeof wordNames)[number]

export const depthwiseWord = (name: DepthwiseWord): number => 4 * wordNames.indexOf(name)

/** Where the table begins: for each entry its distance in the padded band, and that of its weight in the filter. */
export const depthwiseTable = 4 * wordNames.length

/** A plan of one product. */
export interface DepthwisePlan {
  readonly words: readonly number[]
  readonly threadScratchBytes: number
  /** Units of work. */
  readonly count: number
  readonly unitGroups: number
  readonly units: number
}

/** Floats of the padded bands of a group: they stay in the nearest caches. */
const bandFloats = 8 * 1024
/** Results of a unit, at least, if there are as many. */
const leastResults = 8 * 1024
/** Most channels and filters of a group, and results of one filter in one image. */
const mostChannels = 8

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

/** Whether groups are so narrow that planes are multiplied one by one. */
export function isDepthwise({ groups, inputChannels, outputChannels, extents, window }: Convolution): boolean {
  const isFlat = extents[0] === 1 && window[0] === 1
  return isFlat && groups > 1 && inputChannels / groups <= mostChannels && outputChannels / groups <= mostChannels
}

/**
 * Plans one product. A band of rows of each plane of the source is copied into scratch memory with zeros around it, the columns by their
 * remainder by the step, so that neighbouring results read neighbouring floats whatever the strides, paddings and dilations are.
 *
 * @param isGradient whether the result is the filter, which is summed over images
 */
export function planDepthwise(
  { problem, taps }: Product,
  convolution: Convolution,
  tuning: MatmulTuning,
  { isGradient = false, isStaged = false }: { readonly isGradient?: boolean; readonly isStaged?: boolean } = {},
): DepthwisePlan {
  const { gridY, gridX, stepY, stepX, channels, rows, groups } = problem
  const [lowY, lowX] = [Math.min(...taps.map(({ y }) => y)), Math.min(...taps.map(({ x }) => x))]
  const highY = Math.max(...taps.map(({ y }) => y))
  const columnOf = (x: number) => ({ phase: (x - lowX) % stepX, column: Math.floor((x - lowX) / stepX) })
  const lastColumn = Math.max(...taps.map(({ x }) => columnOf(x).column))
  const width = tileColumns(tuning)
  const pitch = 4 * (roundUp(gridX, 16) + roundUp(lastColumn, 16))
  const rowFloats = (stepX * pitch) / 4
  const fitting = Math.floor((bandFloats / channels / rowFloats - (highY - lowY) - 1) / stepY) + 1
  const bandRows = Math.min(gridY, Math.max(1, fitting))
  const planeRows = (bandRows - 1) * stepY + highY - lowY + 1
  const planeBytes = planeRows * stepX * pitch
  const table = Array.from({ length: channels }, (_, channel) =>
    taps.flatMap(({ y, x, filterOffset }) => {
      const { phase, column } = columnOf(x)
      const within = ((y - lowY) * stepX + phase) * pitch + 4 * column
      return [channel * planeBytes + within, channel * problem.filterChannel + filterOffset]
    }),
  ).flat()
  const entries = table.length / 2
  const errorPitch = 4 * roundUp(gridX, 16)
  const scratchErrors = channels * planeBytes
  const scratchSums = scratchErrors + (isGradient ? bandRows * errorPitch : 0)
  const results = rows * gridY * gridX * (isGradient ? convolution.batch : 1)
  const unitGroups = Math.min(groups, Math.max(1, Math.ceil(leastResults / results)), Math.ceil(groups / 4))
  const units = Math.ceil(groups / unitGroups)
  const words: Record<DepthwiseWord, number> = {
    ...problem,
    images: convolution.batch,
    ...(isStaged && {
      targetRow: 4 * gridY * gridX,
      targetGroup: 4 * rows * gridY * gridX,
      targetY: 4 * gridX,
      targetX: 4,
    }),
    lowY,
    lowX,
    bandRows,
    planeRows,
    pitch,
    planeBytes,
    entries,
    unitGroups,
    units,
    isStaged: isStaged ? 1 : 0,
    scratchErrors,
    scratchSums,
    errorPitch,
  }
  return {
    words: [...wordNames.map((name) => words[name]), ...table],
    threadScratchBytes: roundUp(scratchSums + (isGradient ? 16 * rows * entries : 0), 64) + 4 * width,
    count: isGradient ? units : convolution.batch * units,
    unitGroups,
    units,
  }
}
