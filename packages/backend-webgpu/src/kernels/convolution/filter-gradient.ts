import { type OpCall, sizeOf } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { indented } from '../../wgsl/shader.ts'
import { TiledResult } from '../matmul/result.ts'
import { type ConvolutionProblem, forwardReach } from './problem.ts'
import { reachElement, splitIndex } from './reach.ts'

const tile = 8
const eight = [0, 1, 2, 3, 4, 5, 6, 7] as const

/**
 * The gradient to the filter where shaders run on a processor: each invocation computes up to 8 output channels × 8 input channels of one tap, and
 * walks over the positions, which all of them read at the same place.
 */
export function planRegisterFilterGradient(
  call: OpCall,
  problem: ConvolutionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { input, output, groups, batch, window, positions, inputChannels, outputChannels } = problem
  const taps = sizeOf(window)
  const [m, n, k] = [outputChannels, inputChannels * taps, batch * sizeOf(positions)]
  if (m === 0 || n === 0 || groups === 0) return { dispatches: [] }
  const sizes = { m, n, k, batches: groups, groups, rowAxes: [0, 1] as const, mayUseQuads: false }
  const wishes = [output, input].map((operand) => ({ operand, writes: false, quads: false }))
  const result = new TiledResult(call, environment, memory, sizes, wishes)
  const { shader, number } = result
  const [errors, sources] = wishes.map((wish) => shader.access(wish))
  const [rowTiles, channelTiles] = [Math.ceil(m / tile), Math.ceil(inputChannels / tile)]
  const perGroup = Math.ceil((rowTiles * channelTiles * taps) / 64)
  const splits = result.split(perGroup * groups, 1)
  const { workgroups, index } = foldWorkgroups(perGroup * groups * splits, environment.limits, number)
  const [errorImage, errorChannel, ...errorStrides] = output.view.strides as [number, number, ...number[]]
  const [imageStride, channelStride, ...strides] = input.view.strides as [number, number, ...number[]]
  const last = (count: number, first: string, i: number): string =>
    i === 0 ? first : `min(${first} + ${i}, ${number(count)} - 1)`
  const vectorOf = (load: (i: number) => string, first: 0 | 4): string =>
    `vec4<f32>(${[0, 1, 2, 3].map((i) => load(first + i)).join(', ')})`
  const source = (i: number): string => sources!.load(`(sourceAt + channelAt${i})`)
  const body = [
    ...result.locate(index, perGroup),
    `let place = inBatch * 64 + i32(local);`,
    `let tap = place % ${number(taps)};`,
    `let channel = (place / ${number(taps)}) % ${number(channelTiles)} * ${tile};`,
    `let row = place / ${number(taps * channelTiles)} * ${tile};`,
    `if (part >= ${number(splits)} || row >= ${number(m)}) { return; }`,
    ...splitIndex('tap', window, 'tap', number),
    ...eight.map(
      (i) => `let rowAt${i} = (batch * ${number(outputChannels)} + ${last(m, 'row', i)}) * ${number(errorChannel)};`,
    ),
    ...eight.map(
      (i) =>
        `let channelAt${i} = (batch * ${number(inputChannels)} + ${last(inputChannels, 'channel', i)}) * ${number(channelStride)};`,
    ),
    ...eight.flatMap((i) => [`var sum${i}l = vec4<f32>();`, `var sum${i}r = vec4<f32>();`]),
    'for (var step = depthStart; step < depthEnd; step++) {',
    ...indented([
      ...splitIndex('step', [batch, ...positions], 'depth', number),
      ...positions.map((_, axis) => `let at${axis} = depth${axis + 1};`),
      ...reachElement('Element', 'at', 'tap', forwardReach(problem), strides, number),
      'if (!isElement) { continue; }',
      `let sourceAt = depth0 * ${number(imageStride)} + atElement;`,
      `let errorAt = ${[`depth0 * ${number(errorImage)}`, ...errorStrides.map((stride, axis) => `at${axis} * ${number(stride)}`)].join(' + ')};`,
      `let l = ${vectorOf(source, 0)};`,
      `let r = ${vectorOf(source, 4)};`,
      ...eight.flatMap((i) => [
        `let error${i} = ${errors!.load(`(errorAt + rowAt${i})`)};`,
        `sum${i}l += error${i} * l;`,
        `sum${i}r += error${i} * r;`,
      ]),
    ]),
    '}',
    `var sums = array<vec4<f32>, 16>(${eight.map((i) => `sum${i}l, sum${i}r`).join(', ')});`,
    'for (var i = 0; i < 64; i++) {',
    ...indented([
      'let line = row + i / 8;',
      'let plane = channel + i % 8;',
      `if (line < ${number(m)} && plane < ${number(inputChannels)}) {`,
      `  ${result.store('line', `plane * ${number(taps)} + tap`, 'sums[i / 4][i % 4]')}`,
      '}',
    ]),
    '}',
  ]
  return result.plan(shader.dispatch({ name: 'filter gradient', body, workgroupSize: 64, workgroups }))
}
