import type { ConvolutionGeometry, OpCall, Operand } from '@tessera/core'
import { isRowMajor, ownInputs, resultOf, sizeOf } from '@tessera/core'
import { taps } from './algorithms.ts'

export type ConvolutionOp = 'convolution' | 'convolutionBackwardInput' | 'convolutionBackwardFilter'

type Pair = readonly [height: number, width: number]

/** A 3 × 3 convolution of planes with stride 1: rows are the channels of its result, channels those of its source. */
export interface ConvolutionLayout {
  readonly batch: number
  readonly rows: number
  readonly channels: number
  readonly source: Pair
  readonly target: Pair
  /** Zeros above and to the left of the source. */
  readonly low: Pair
}

/** Rows and columns of the tiles of an image, by α. */
export function gridOf(target: Pair, size: 4 | 6): [rows: number, columns: number] {
  const outputs = size - taps + 1
  return [Math.ceil(target[0] / outputs), Math.ceil(target[1] / outputs)]
}

/** The convolution that a call computes, `undefined` where kernels that need f32 in row-major order do not take it. */
export function layoutOf(call: OpCall<ConvolutionOp>): ConvolutionLayout | undefined {
  return [...ownInputs(call), resultOf(call)].every(isPlain) ? geometryOf(call) : undefined
}

/**
 * The same for operands of any layout and format, which must not be empty. Winograd's algorithms need two spatial axes, filters of 3 × 3, no stride, dilation or
 * groups, and for the gradient to the input at most two zeros around it. The gradient to the filter has the layout of its convolution.
 */
export function geometryOf(call: OpCall<ConvolutionOp>): ConvolutionLayout | undefined {
  const own = ownInputs(call)
  if (own.length !== 2 || ![...own, resultOf(call)].every(isFourAxes)) return undefined
  const [first, second] = own.map(({ view }) => view.shape)
  const result = resultOf(call).view.shape
  const shapes = {
    convolution: [first!, second!, result],
    convolutionBackwardInput: [result, second!, first!],
    convolutionBackwardFilter: [first!, result, second!],
  } as const
  const [input, filter, output] = shapes[call.op]
  const { stride, dilation, groups, padding } = call.attributes as ConvolutionGeometry
  const isPlainWindow = filter[2] === taps && filter[3] === taps && groups === 1
  if (!isPlainWindow || ![...stride, ...dilation].every((count) => count === 1)) return undefined
  const [batch, inputs, height, width] = input as [number, number, number, number]
  const [, outputs, rows, columns] = output as [number, number, number, number]
  const low: Pair = [padding[0]![0], padding[1]![0]]
  if (call.op !== 'convolutionBackwardInput') {
    return { batch, rows: outputs, channels: inputs, source: [height, width], target: [rows, columns], low }
  }
  // The gradient is a convolution of the errors with turned filters, padded to the full extent.
  const turned: Pair = [taps - 1 - low[0], taps - 1 - low[1]]
  if (turned.some((count) => count < 0)) return undefined
  return { batch, rows: inputs, channels: outputs, source: [rows, columns], target: [height, width], low: turned }
}

const isPlain = ({ dtype, view }: Operand): boolean => dtype === 'f32' && isRowMajor(view)

const isFourAxes = ({ view }: Operand): boolean => view.shape.length === 4 && sizeOf(view.shape) > 0
