import type { ConvolutionGeometry, Shape } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import type { DescriptorWords, Tap } from './descriptor.ts'

/** The shapes of a convolution, `[N, C, ...spatial] ∗ [K, C / groups, ...window] → [N, K, ...positions]`. */
export interface ConvolutionShapes {
  readonly input: Shape
  readonly filter: Shape
  readonly output: Shape
}

/** The most spatial axes that the kernels take. */
export const mostSpatialAxes = 3

type Three = readonly [z: number, y: number, x: number]

/** A convolution over exactly three spatial axes: those that are missing have extent 1. */
export interface Convolution {
  readonly batch: number
  readonly inputChannels: number
  readonly outputChannels: number
  readonly groups: number
  readonly extents: Three
  readonly window: Three
  readonly positions: Three
  readonly stride: Three
  readonly dilation: Three
  /** Zeros before each axis. */
  readonly low: Three
}

export function toThreeAxes({ input, filter, output }: ConvolutionShapes, geometry: ConvolutionGeometry): Convolution {
  const three = (values: readonly number[], missing: number): Three => {
    const [z = missing, y = missing, x = missing] = [
      ...new Array<number>(mostSpatialAxes - values.length).fill(missing),
      ...values,
    ]
    return [z, y, x]
  }
  return {
    batch: input[0]!,
    inputChannels: input[1]!,
    outputChannels: filter[0]!,
    groups: geometry.groups,
    extents: three(input.slice(2), 1),
    window: three(filter.slice(2), 1),
    positions: three(output.slice(2), 1),
    stride: three(geometry.stride, 1),
    dilation: three(geometry.dilation, 1),
    low: three(
      geometry.padding.map(([low]) => low),
      0,
    ),
  }
}

/** Sizes of a product and how its operands lie in memory: what a descriptor says, without the blocks. */
export type Problem = Omit<
  DescriptorWords,
  | 'taps'
  | 'blockChannels'
  | 'blockColumns'
  | 'blockRows'
  | 'filterLayout'
  | 'splitRows'
  | 'unit'
  | 'units'
  | 'unitRows'
  | 'unitColumns'
  | 'rowUnits'
  | 'columnUnits'
  | 'scratchTables'
  | 'scratchFilters'
  | 'scratchPatches'
  | 'scratchRows'
>

/** A product before it is divided into blocks. */
export interface Product {
  readonly problem: Problem
  readonly taps: readonly Tap[]
  /** True when the taps of a filter stand in memory in the order of the table, channel by channel. */
  readonly contiguous: boolean
  /** Where the target begins, in bytes. */
  readonly start: number
}

/** The displacements of a filter's taps in the input. */
export function tapsOf({ window, dilation, low }: Convolution): Tap[] {
  const [depth, height, width] = window
  return Array.from({ length: sizeOf(window) }, (_, i) => {
    const x = i % width
    const y = Math.floor(i / width) % height
    const z = Math.floor(i / width / height) % depth
    return {
      z: z * dilation[0] - low[0],
      y: y * dilation[1] - low[1],
      x: x * dilation[2] - low[2],
      filterOffset: 4 * i,
    }
  })
}

const inBytes = ([, height, width]: Three) => ({ plane: 4 * height * width, row: 4 * width })

/** A convolution as a product: rows are output channels, columns positions of the output. */
export function forwardProblem(convolution: Convolution): Problem {
  const { batch, inputChannels, outputChannels, groups, extents, window, positions, stride } = convolution
  const [ownInputs, ownOutputs] = [inputChannels / groups, outputChannels / groups]
  const [input, output] = [sizeOf(extents), sizeOf(positions)]
  const source = inBytes(extents)
  const target = inBytes(positions)
  const filter = 4 * ownInputs * sizeOf(window)
  return {
    rows: ownOutputs,
    columns: batch * output,
    channels: ownInputs,
    groups,
    gridZ: positions[0],
    gridY: positions[1],
    gridX: positions[2],
    stepZ: stride[0],
    stepY: stride[1],
    stepX: stride[2],
    extentZ: extents[0],
    extentY: extents[1],
    extentX: extents[2],
    sourceImage: 4 * inputChannels * input,
    sourceGroup: 4 * ownInputs * input,
    sourceChannel: 4 * input,
    sourcePlane: source.plane,
    sourceRow: source.row,
    filterGroup: filter * ownOutputs,
    filterRow: filter,
    filterChannel: 4 * sizeOf(window),
    targetImage: 4 * outputChannels * output,
    targetGroup: 4 * ownOutputs * output,
    targetRow: 4 * output,
    targetZ: target.plane,
    targetY: target.row,
    targetX: 4,
  }
}

/** The only product of a forward pass. */
export const forwardProducts = (convolution: Convolution): readonly Product[] => [
  { problem: forwardProblem(convolution), taps: tapsOf(convolution), contiguous: true, start: 0 },
]

/** The products of a gradient to the input: one for each remainder by the stride. */
export function backwardInputProducts(convolution: Convolution): readonly Product[] {
  const { batch, inputChannels, outputChannels, groups, extents, window, positions, stride } = convolution
  const [ownInputs, ownOutputs] = [inputChannels / groups, outputChannels / groups]
  const [input, output] = [sizeOf(extents), sizeOf(positions)]
  const source = inBytes(positions)
  const target = inBytes(extents)
  const filter = 4 * ownInputs * sizeOf(window)
  return remaindersOf(convolution).map(({ first, grid, taps }) => {
    const problem: Problem = {
      rows: ownInputs,
      columns: batch * sizeOf(grid),
      channels: ownOutputs,
      groups,
      gridZ: grid[0],
      gridY: grid[1],
      gridX: grid[2],
      stepZ: 1,
      stepY: 1,
      stepX: 1,
      extentZ: positions[0],
      extentY: positions[1],
      extentX: positions[2],
      sourceImage: 4 * outputChannels * output,
      sourceGroup: 4 * ownOutputs * output,
      sourceChannel: 4 * output,
      sourcePlane: source.plane,
      sourceRow: source.row,
      filterGroup: filter * ownOutputs,
      filterRow: 4 * sizeOf(window),
      filterChannel: filter,
      targetImage: 4 * inputChannels * input,
      targetGroup: 4 * ownInputs * input,
      targetRow: 4 * input,
      targetZ: stride[0] * target.plane,
      targetY: stride[1] * target.row,
      targetX: stride[2] * 4,
    }
    const start = first[0] * target.plane + first[1] * target.row + first[2] * 4
    return { problem, taps, contiguous: false, start }
  })
}

interface Remainder {
  /** The first position of the input, and how many there are, each a stride apart. */
  readonly first: Three
  readonly grid: Three
  readonly taps: readonly Tap[]
}

/** Positions of the input by their remainder by the stride, with the taps that meet them. */
function remaindersOf(convolution: Convolution): Remainder[] {
  const { extents, stride } = convolution
  const result: Remainder[] = []
  const all = tapsOf(convolution)
  for (let i = 0; i < sizeOf(stride); i++) {
    const first: Three = [Math.floor(i / stride[2] / stride[1]), Math.floor(i / stride[2]) % stride[1], i % stride[2]]
    const grid = first.map((start, axis) => Math.max(0, Math.ceil((extents[axis]! - start) / stride[axis]!)))
    const taps = all.flatMap(({ z, y, x, filterOffset }): Tap[] => {
      // Position p of the output meets the input at p · stride + displacement.
      const [dz, dy, dx] = [z, y, x].map((displacement, axis) => (first[axis]! - displacement) / stride[axis]!)
      return [dz, dy, dx].every(Number.isInteger) ? [{ z: dz!, y: dy!, x: dx!, filterOffset }] : []
    })
    if (taps.length > 0 && sizeOf(grid) > 0) result.push({ first, grid: grid as unknown as Three, taps })
  }
  return result
}

/** True when every element of the input meets some tap, so that the products of `planBackwardInput` write all of the result. */
export function writesWholeInput(convolution: Convolution): boolean {
  const covered = remaindersOf(convolution).reduce((total, { grid }) => total + sizeOf(grid), 0)
  return covered === sizeOf(convolution.extents)
}
