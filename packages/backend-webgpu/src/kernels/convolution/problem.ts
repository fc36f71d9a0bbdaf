import type { ConvolutionGeometry, OpCall, Operand } from '@tessera/core'
import { isFloat, ownInputs, sizeOf } from '@tessera/core'
import { canFinish } from '../../fused/finish.ts'
import { laneOf } from '../../wgsl/formats.ts'

export type ConvolutionOp = 'convolution' | 'convolutionBackwardInput' | 'convolutionBackwardFilter'

/** A convolution that one of its three ops computes with. Channels are those of one group. */
export interface ConvolutionProblem {
  readonly op: ConvolutionOp
  readonly input: Operand
  readonly filter: Operand
  readonly output: Operand
  readonly batch: number
  readonly groups: number
  readonly inputChannels: number
  readonly outputChannels: number
  /** One for each spatial axis. */
  readonly extents: readonly number[]
  readonly positions: readonly number[]
  readonly window: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly before: readonly number[]
}

/** `undefined` for calls that no shader of this folder computes. */
export function convolutionProblem(call: OpCall<ConvolutionOp>): ConvolutionProblem | undefined {
  const [first, second, ...more] = ownInputs(call as unknown as OpCall)
  const stored = call.outputs[0]
  if (!first || !second || !stored || more.length > 0) return undefined
  const { stride, padding, dilation, groups } = call.attributes as ConvolutionGeometry
  // With an epilogue the outputs are what that stores, and the result has no place in memory.
  const shape = call.epilogue?.result.shape ?? stored.view.shape
  const result: Operand = call.epilogue ? { ...stored, view: { ...stored.view, shape } } : stored
  const [input, filter, output] = {
    convolution: [first, second, result],
    convolutionBackwardInput: [result, second, first],
    convolutionBackwardFilter: [first, result, second],
  }[call.op] as [Operand, Operand, Operand]
  const operands = [...call.inputs, ...call.outputs]
  const fits =
    input.view.shape.length >= 3 &&
    [first, second].every(({ dtype }) => isFloat(dtype)) &&
    operands.every(({ dtype }) => laneOf(dtype) !== undefined) &&
    (call.epilogue !== undefined || isFloat(stored.dtype)) &&
    canFinish(call as unknown as OpCall)
  if (!fits) return undefined
  return {
    op: call.op,
    input,
    filter,
    output,
    batch: input.view.shape[0]!,
    groups,
    inputChannels: filter.view.shape[1]!,
    outputChannels: filter.view.shape[0]! / groups,
    extents: input.view.shape.slice(2),
    positions: output.view.shape.slice(2),
    window: filter.view.shape.slice(2),
    stride,
    dilation,
    before: padding.map(([low]) => low),
  }
}

/** Multiply–adds. */
export const workOf = ({ batch, groups, inputChannels, outputChannels, positions, window }: ConvolutionProblem) =>
  batch * groups * inputChannels * outputChannels * sizeOf(positions) * sizeOf(window)

/**
 * How the positions of one side of a convolution are found from those of the other, for one axis: `(position · scale + tap · step + shift) /
 * divisor` where that is whole and inside.
 */
export interface AxisReach {
  /** Positions that are walked over, and elements of the axis that is read. */
  readonly positions: number
  readonly extent: number
  readonly window: number
  readonly scale: number
  readonly step: number
  readonly shift: number
  readonly divisor: number
}

/** From positions of the output to elements of the input. */
export const forwardReach = (problem: ConvolutionProblem): AxisReach[] =>
  problem.window.map((window, axis) => ({
    positions: problem.positions[axis]!,
    extent: problem.extents[axis]!,
    window,
    scale: problem.stride[axis]!,
    step: problem.dilation[axis]!,
    shift: -problem.before[axis]!,
    divisor: 1,
  }))

/** From elements of the input to positions of the output. */
export const backwardReach = (problem: ConvolutionProblem): AxisReach[] =>
  problem.window.map((window, axis) => ({
    positions: problem.extents[axis]!,
    extent: problem.positions[axis]!,
    window,
    scale: 1,
    step: -problem.dilation[axis]!,
    shift: problem.before[axis]!,
    divisor: problem.stride[axis]!,
  }))
