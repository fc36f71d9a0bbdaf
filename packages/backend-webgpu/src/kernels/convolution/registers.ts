import { type OpCall, sizeOf } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type {
  CallMemory,
  MemoryRange,
  WebGpuCallPlan,
  WebGpuDispatch,
  WebGpuEnvironment,
} from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import { indented, Shader } from '../../wgsl/shader.ts'
import { storeTile } from '../matmul/registers.ts'
import { TiledResult } from '../matmul/result.ts'
import { backwardReach, type ConvolutionProblem, forwardReach } from './problem.ts'
import { reachElement, splitIndex } from './reach.ts'

const columns = 8
const parts = ['x', 'y', 'z', 'w'] as const

/**
 * The forward pass, and the gradient to the input, where shaders run on a processor: each invocation computes up to 8 channels at 8 positions. It
 * finds for each tap where those positions read, once for all channels. Filters are copied first so that the rows of a tile stand together.
 */
export function planRegisterConvolution(
  call: OpCall,
  problem: ConvolutionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { groups, batch, window } = problem
  const isForward = problem.op === 'convolution'
  const source = isForward ? problem.input : problem.output
  const reach = isForward ? forwardReach(problem) : backwardReach(problem)
  const [m, channels] = isForward
    ? [problem.outputChannels, problem.inputChannels]
    : [problem.inputChannels, problem.outputChannels]
  const positions = reach.map((axis) => axis.positions)
  const n = sizeOf(positions)
  const taps = sizeOf(window)
  const batches = batch * groups
  if (m === 0 || n === 0 || batches === 0) return { dispatches: [] }
  const rows = m <= 4 ? 4 : 8
  const paddedRows = Math.ceil(m / rows) * rows
  const packed = memory.scratch(4 * groups * taps * channels * paddedRows)
  const wish = { operand: source, writes: false, quads: false }
  const sizes = { m, n, k: channels * taps, batches, groups, rowAxes: [1, 2] as const, mayUseQuads: true }
  const result = new TiledResult(call, environment, memory, sizes, [wish])
  const { shader, number } = result
  const access = shader.access(wish)
  const filters = shader.scratch(packed, 'vec4<f32>')
  // Neighbouring invocations have neighbouring columns: they share filters.
  const [tall, wide] = paddedRows <= rows ? [1, 64] : [4, 16]
  const [tilesM, tilesN] = [Math.ceil(m / (rows * tall)), Math.ceil(n / (columns * wide))]
  const tiles = batches * tilesM * tilesN
  // The depth is not shared: there is a tap's work to find positions for.
  result.whole()
  const { workgroups, index } = foldWorkgroups(tiles, environment.limits, number)
  const each = Array.from({ length: rows }, (_, i) => i)
  const lanes = Array.from({ length: columns }, (_, j) => j)
  const [imageStride, channelStride, ...strides] = source.view.strides as [number, number, ...number[]]
  const perTap = paddedRows / 4
  const quad = (side: readonly number[]): string =>
    `vec4<f32>(${side.map((j) => access.load(`(channelAt + place${j})`)).join(', ')})`
  const inside = (side: readonly number[]): string => `vec4<bool>(${side.map((j) => `isElement${j}`).join(', ')})`
  const body = [
    `let block = ${index};`,
    `let batch = block / ${number(tilesM * tilesN)};`,
    `let inBatch = block % ${number(tilesM * tilesN)};`,
    `let row = (inBatch / ${number(tilesN)}) * ${rows * tall} + i32(local) / ${wide} * ${rows};`,
    `let column = (inBatch % ${number(tilesN)}) * ${columns * wide} + i32(local) % ${wide} * ${columns};`,
    `if (batch >= ${number(batches)} || row >= ${number(m)} || column >= ${number(n)}) { return; }`,
    `let channelGroup = batch % ${number(groups)};`,
    `let sourceAt = (batch / ${number(groups)}) * ${number(imageStride)} + channelGroup * ${number(channels * channelStride)};`,
    ...lanes.flatMap((j) => [
      `let column${j} = min(column + ${j}, ${number(n)} - 1);`,
      ...splitIndex(`column${j}`, positions, `at${j}_`, number),
    ]),
    ...each.flatMap((i) => [`var sum${i}l = vec4<f32>();`, `var sum${i}r = vec4<f32>();`]),
    `for (var tap = 0; tap < ${number(taps)}; tap++) {`,
    ...indented([
      ...splitIndex('tap', window, 'tap', number),
      ...lanes.flatMap((j) => [
        ...reachElement(`Element${j}`, `at${j}_`, 'tap', reach, strides, number),
        `let place${j} = select(0, atElement${j}, isElement${j});`,
      ]),
      `let insideL = ${inside([0, 1, 2, 3])};`,
      `let insideR = ${inside([4, 5, 6, 7])};`,
      `var filterAt = (channelGroup * ${number(taps)} + tap) * ${number(channels * perTap)} + row / 4;`,
      'var channelAt = sourceAt;',
      `for (var channel = 0; channel < ${number(channels)}; channel++) {`,
      ...indented([
        `let l = select(vec4<f32>(), ${quad([0, 1, 2, 3])}, insideL);`,
        `let r = select(vec4<f32>(), ${quad([4, 5, 6, 7])}, insideR);`,
        ...Array.from({ length: rows / 4 }, (_, q) => `let f${q} = ${filters.load(`filterAt + ${q}`)};`),
        ...each.flatMap((i) => {
          const factor = `f${Math.floor(i / 4)}.${parts[i % 4]}`
          return [`sum${i}l += ${factor} * l;`, `sum${i}r += ${factor} * r;`]
        }),
        `filterAt += ${number(perTap)};`,
        `channelAt += ${number(channelStride)};`,
      ]),
      '}',
    ]),
    '}',
    ...storeTile(result, rows),
  ]
  const product = shader.dispatch({ name: 'registers', body, workgroupSize: 64, workgroups })
  return result.plan(product, [packFilters(problem, { m, channels, paddedRows }, packed, environment, memory)])
}

/** Copies filters to `[groups, taps, channels, rows]`, the rows of each group rounded up to whole tiles. */
function packFilters(
  { filter, groups, window, outputChannels, op }: ConvolutionProblem,
  { m, channels, paddedRows }: { readonly m: number; readonly channels: number; readonly paddedRows: number },
  packed: MemoryRange,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuDispatch {
  const wish = { operand: filter, writes: false, quads: false }
  const shader = new Shader(environment, memory, [wish])
  const number = (value: number): string => shader.number(value)
  const target = shader.scratch(packed, 'f32')
  const [outer, inner, ...taps] = filter.view.strides as [number, number, ...number[]]
  const [rowStride, channelStride] = op === 'convolution' ? [outer, inner] : [inner, outer]
  const extents = [groups, ...window, channels, paddedRows]
  const size = sizeOf(extents)
  const { workgroups, index } = foldWorkgroups(Math.ceil(size / 64), environment.limits, number)
  const axes = [outputChannels * outer, ...taps, channelStride, 0].map((stride, i) => ({
    extent: extents[i]!,
    strides: [stride],
  }))
  const body = [
    `let point = ${index} * 64 + i32(local);`,
    `if (point >= ${number(size)}) { return; }`,
    ...positionsOf('point', axes, ['filterAt'], number),
    // Rows beyond the last one repeat it; their results are not stored.
    `let row = min(point % ${number(paddedRows)}, ${number(m)} - 1);`,
    `let value = ${shader.access(wish).load(`(filterAt + row * ${number(rowStride)})`)};`,
    target.store('point', 'value'),
  ]
  return shader.dispatch({ name: 'filters', body, workgroupSize: 64, workgroups })
}
