import { type OpCall, type Operand, sizeOf } from '@tessera/core'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import { indented } from '../../wgsl/shader.ts'
import { TiledResult } from '../matmul/result.ts'
import { planTiles, type TileSource } from '../matmul/shared.ts'
import { type AxisReach, backwardReach, type ConvolutionProblem, forwardReach } from './problem.ts'
import { reachElement, splitIndex } from './reach.ts'

/** The products that an op is made of, one for each image and group, or for each group, with functions that give elements of both sides. */
interface ImplicitProduct {
  readonly result: TiledResult
  readonly left: readonly string[]
  readonly right: readonly string[]
  /** Whether neighbours of the left side stand together along the depth. */
  readonly leftAlongDepth: boolean
}

/**
 * Convolution as a product whose right side is never written out (implicit im2col): tiles of it are gathered into workgroup memory, zeros where
 * the window reaches into the padding.
 */
export function planSharedConvolution(
  call: OpCall,
  problem: ConvolutionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const open = problem.op === 'convolutionBackwardFilter' ? filterGradient : gathering
  const { result, left, right, leftAlongDepth } = open(call, problem, environment, memory)
  const declare = (name: string, body: readonly string[]): TileSource['load'] => {
    result.shader.declare([`fn ${name}(batch: i32, line: i32, step: i32) -> f32 {`, ...indented(body), '}'].join('\n'))
    return (line, step) => `${name}(batch, ${line}, ${step})`
  }
  const sources = {
    left: { neighbours: leftAlongDepth ? 'depth' : 'lines', load: declare('leftOf', left) },
    right: { neighbours: 'lines', load: declare('rightOf', right) },
  } as const
  return planTiles(result, sources, [], environment)
}

/** The forward pass, and the gradient to the input: rows are channels of the result, columns its positions, the depth channels and taps. */
function gathering(
  call: OpCall,
  problem: ConvolutionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): ImplicitProduct {
  const { filter, groups, batch, window } = problem
  const isForward = problem.op === 'convolution'
  const source = isForward ? problem.input : problem.output
  const reach = isForward ? forwardReach(problem) : backwardReach(problem)
  const [rows, channels] = isForward
    ? [problem.outputChannels, problem.inputChannels]
    : [problem.inputChannels, problem.outputChannels]
  const sizes = {
    m: rows,
    n: sizeOf(reach.map(({ positions }) => positions)),
    k: channels * sizeOf(window),
    batches: batch * groups,
    groups,
    rowAxes: [1, 2] as const,
    mayUseQuads: true,
  }
  const wishes = [filter, source].map((operand) => ({ operand, writes: false, quads: false }))
  const result = new TiledResult(call, environment, memory, sizes, wishes)
  const { number, shader } = result
  const [filters, sources] = wishes.map((wish) => shader.access(wish))
  const [outer, inner, ...taps] = filter.view.strides as [number, number, ...number[]]
  // Output channels of a group stand behind each other whichever side they are on.
  const [rowStride, channelStride] = isForward ? [outer, inner] : [inner, outer]
  const depthAxes = [channels, ...window].map((extent, i) => ({ extent, strides: [[channelStride, ...taps][i]!] }))
  return {
    result,
    leftAlongDepth: taps.at(-1) === 1,
    left: [
      ...positionsOf('step', depthAxes, ['inDepth'], number),
      `let group = batch % ${number(groups)};`,
      `let position = group * ${number(problem.outputChannels * outer)} + line * ${number(rowStride)} + inDepth;`,
      `return ${filters!.load('position')};`,
    ],
    right: [
      ...splitIndex('step', [channels, ...window], 'depth', number),
      ...window.map((_, axis) => `let tap${axis} = depth${axis + 1};`),
      ...splitIndex(
        'line',
        reach.map(({ positions }) => positions),
        'at',
        number,
      ),
      ...loadReached(source, reach, number),
      `let channel = (batch % ${number(groups)}) * ${number(channels)} + depth0;`,
      `let position = (batch / ${number(groups)}) * ${number(source.view.strides[0]!)} + channel * ${number(source.view.strides[1]!)} + atElement;`,
      `return ${sources!.load('position')};`,
    ],
  }
}

/** The gradient to the filter: rows are output channels, columns input channels and taps, the depth all positions of all images. */
function filterGradient(
  call: OpCall,
  problem: ConvolutionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): ImplicitProduct {
  const { input, output, groups, batch, window, positions, inputChannels, outputChannels } = problem
  const sizes = {
    m: outputChannels,
    n: inputChannels * sizeOf(window),
    k: batch * sizeOf(positions),
    batches: groups,
    groups,
    rowAxes: [0, 1] as const,
    mayUseQuads: true,
  }
  const wishes = [output, input].map((operand) => ({ operand, writes: false, quads: false }))
  const result = new TiledResult(call, environment, memory, sizes, wishes)
  const { number, shader } = result
  const [errors, sources] = wishes.map((wish) => shader.access(wish))
  const [image, channel, ...spatial] = output.view.strides as [number, number, ...number[]]
  const depthAxes = [batch, ...positions].map((extent, i) => ({ extent, strides: [[image, ...spatial][i]!] }))
  return {
    result,
    leftAlongDepth: spatial.at(-1) === 1,
    left: [
      ...positionsOf('step', depthAxes, ['inDepth'], number),
      `let channel = batch * ${number(outputChannels)} + line;`,
      `let position = channel * ${number(channel)} + inDepth;`,
      `return ${errors!.load('position')};`,
    ],
    right: [
      ...splitIndex('step', [batch, ...positions], 'depth', number),
      ...positions.map((_, axis) => `let at${axis} = depth${axis + 1};`),
      ...splitIndex('line', [inputChannels, ...window], 'column', number),
      ...window.map((_, axis) => `let tap${axis} = column${axis + 1};`),
      ...loadReached(input, forwardReach(problem), number),
      `let channel = batch * ${number(inputChannels)} + column0;`,
      `let position = depth0 * ${number(input.view.strides[0]!)} + channel * ${number(input.view.strides[1]!)} + atElement;`,
      `return ${sources!.load('position')};`,
    ],
  }
}

/** Statements that give 0 outside, and declare `atElement` inside. */
const loadReached = ({ view }: Operand, reach: readonly AxisReach[], number: (value: number) => string): string[] => [
  ...reachElement('Element', 'at', 'tap', reach, view.strides.slice(2), number),
  'if (!isElement) { return 0.0f; }',
]
