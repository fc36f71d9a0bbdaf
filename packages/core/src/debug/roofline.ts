import { formatOf } from '../graph/format.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { sizeOf } from '../graph/shape.ts'
import type { Limits } from '../plugin/contract.ts'
import { type OpCall, type Operand, ownInputs } from '../schedule/program.ts'

/** What a call has to do, however it is done. */
export interface Work {
  /** A multiply–add counts as two, any other op on an element as one. */
  readonly operations: number
  /** Bytes of the operands, each read or written once. */
  readonly bytes: number
}

/** The least work of a call. Ops that only move or compare elements, and ops of other packages, count by their bytes. */
export function workOf(call: OpCall): Work {
  const operands = [...call.inputs, ...call.outputs]
  const after = call.epilogue ? operationsOfBody(call.epilogue.body) : 0
  return {
    operations: operationsOf(call) + after,
    bytes: operands.reduce((sum, operand) => sum + bytesOf(operand), 0),
  }
}

/** How near a call came to what the device's figures allow (Williams, Waterman and Patterson 2009), and which figure limits it. */
export function shareOfRoofline(
  { operations, bytes }: Work,
  { gigaflops, gigabytesPerSecond }: Pick<Limits, 'gigaflops' | 'gigabytesPerSecond'>,
  microseconds: number,
): { readonly share: number; readonly limit: 'arithmetic' | 'memory' } {
  const [computing, moving] = [operations / (1000 * gigaflops), bytes / (1000 * gigabytesPerSecond)]
  const share = microseconds > 0 ? Math.max(computing, moving) / microseconds : 0
  return { share, limit: computing > moving ? 'arithmetic' : 'memory' }
}

/** Elements that are repeated count once. */
function bytesOf({ view, dtype }: Operand): number {
  const elements = view.shape.reduce(
    (product, extent, axis) => (view.strides[axis] === 0 ? product : product * extent),
    1,
  )
  return elements * formatOf(dtype).bytes
}

const operationsOfBody = ({ domain, instructions }: OpAttributes['fused']): number =>
  sizeOf(domain) * instructions.filter(({ kind }) => kind === 'compute' || kind === 'reduce').length

function operationsOf(call: OpCall): number {
  const [first, second, third] = ownInputs(call).map(({ view }) => view.shape)
  const result = call.epilogue?.result.shape ?? call.outputs[0]?.view.shape
  if (!first || !result) return 0
  switch (call.op) {
    case 'fused':
      return operationsOfBody(call.attributes as OpAttributes['fused'])
    case 'matmul':
      return 2 * sizeOf(first) * second!.at(-1)!
    case 'quantizedMatmul':
      return 2 * sizeOf(first) * second![0]!
    case 'convolution':
      return 2 * sizeOf(result) * sizeOf(second!.slice(1))
    case 'convolutionBackwardInput':
      return 2 * sizeOf(first) * sizeOf(second!.slice(1))
    case 'convolutionBackwardFilter':
      return 2 * sizeOf(second!) * sizeOf(result.slice(1))
    case 'attention':
    case 'attentionBackward': {
      const { causal } = call.attributes as OpAttributes['attention']
      const scores = sizeOf(first.slice(0, -1)) * second!.at(-2)! * (causal && first.at(-2)! > 1 ? 0.5 : 1)
      const [width, valueWidth] = [first.at(-1)!, third!.at(-1)!]
      return 2 * scores * (call.op === 'attention' ? width + valueWidth : 3 * width + 2 * valueWidth)
    }
    default:
      return 0
  }
}
