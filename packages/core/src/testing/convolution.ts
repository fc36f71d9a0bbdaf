import type { ConvolutionGeometry } from '../graph/compounds/convolution.ts'
import { isFloat, type TypedArray } from '../graph/format.ts'
import { type Shape, sizeOf } from '../graph/shape.ts'
import type { View } from '../graph/view.ts'
import type { Kernel, ReferenceKernelProgram } from '../plugin/contract.ts'
import { allPositions, axisGroup } from '../run/reference/addressing.ts'
import { buildWithEpilogue } from '../run/reference/epilogue.ts'
import { type OpCall, ownInputs } from '../schedule/program.ts'

/** Told the positions of an element of the input, of the filter and of the result, in row-major order, that meet in a convolution. */
type VisitTerm = (input: number, filter: number, result: number) => void

/** Walks over every product of a convolution `[N, C, ...spatial] ∗ [K, C / groups, ...window]`, one loop for each axis. */
export function forEachTerm(input: Shape, filter: Shape, geometry: ConvolutionGeometry, visit: VisitTerm): void {
  const { stride, padding, dilation, groups } = geometry
  const [batch, channels] = input as [number, number]
  const [outputs, depth] = filter as [number, number]
  const extents = input.slice(2)
  const window = filter.slice(2)
  const positions = extents.map(
    (extent, i) =>
      Math.floor((extent + padding[i]![0] + padding[i]![1] - dilation[i]! * (window[i]! - 1) - 1) / stride[i]!) + 1,
  )
  const walk = (axis: number, inputAt: number, filterAt: number, resultAt: number): void => {
    if (axis === extents.length) {
      visit(inputAt, filterAt, resultAt)
      return
    }
    for (let position = 0; position < positions[axis]!; position++) {
      for (let tap = 0; tap < window[axis]!; tap++) {
        const at = position * stride[axis]! + tap * dilation[axis]! - padding[axis]![0]
        if (at < 0 || at >= extents[axis]!) continue
        walk(
          axis + 1,
          inputAt * extents[axis]! + at,
          filterAt * window[axis]! + tap,
          resultAt * positions[axis]! + position,
        )
      }
    }
  }
  for (let image = 0; image < batch; image++) {
    for (let output = 0; output < outputs; output++) {
      const group = Math.floor((output * groups) / outputs)
      for (let c = 0; c < depth; c++) {
        walk(0, image * channels + group * depth + c, output * depth + c, image * outputs + output)
      }
    }
  }
}

type ConvolutionOp = 'convolution' | 'convolutionBackwardInput' | 'convolutionBackwardFilter'

/** Which operands of an op are the input, the filter and the result of the convolution that it belongs to. */
const roles = {
  convolution: { input: 0, filter: 1, result: 'written' },
  convolutionBackwardInput: { input: 'written', filter: 1, result: 0 },
  convolutionBackwardFilter: { input: 0, filter: 'written', result: 1 },
} as const

function referenceKernel<Op extends ConvolutionOp>(op: Op): Kernel<Op, 'reference'> {
  const role = roles[op]
  return {
    name: `testing/${op}`,
    op,
    backend: 'reference',
    tolerance: 1e-7,
    epilogues: true,
    cost: (call: OpCall<Op>) =>
      [...ownInputs(call), ...(call.epilogue ? [] : call.outputs)].every(
        ({ dtype }) => isFloat(dtype) && dtype !== 'f16',
      )
        ? sizeOf(call.epilogue?.result.shape ?? call.outputs[0]!.view.shape)
        : undefined,
    build: (call) => buildWithEpilogue(call, buildConvolution),
  }

  function buildConvolution({ attributes, inputs, outputs }: OpCall<Op>): ReferenceKernelProgram {
    const viewOf = (at: 0 | 1 | 'written') => (at === 'written' ? outputs[0]! : inputs[at]!).view
    return (sources, targets) => {
      const { view } = outputs[0]!
      const sums = new Float64Array(sizeOf(view.shape))
      const operand = (at: 0 | 1 | 'written') => (at === 'written' ? sums : inRowMajorOrder(sources[at]!, viewOf(at)))
      const [x, w, y] = [operand(role.input), operand(role.filter), operand(role.result)]
      const [input, filter] = [viewOf(role.input).shape, viewOf(role.filter).shape]
      forEachTerm(input, filter, attributes as ConvolutionGeometry, (i, f, r) => {
        if (role.result === 'written') sums[r]! += x[i]! * w[f]!
        else if (role.input === 'written') sums[i]! += y[r]! * w[f]!
        else sums[f]! += x[i]! * y[r]!
      })
      allPositions(axisGroup(view, 0, view.shape.length)).forEach((position, i) => {
        targets[0]![view.offset + position] = sums[i]!
      })
    }
  }
}

/** The elements of a view, one after the other. */
const inRowMajorOrder = (values: TypedArray, view: View): Float64Array =>
  Float64Array.from(allPositions(axisGroup(view, 0, view.shape.length)), (position) => values[view.offset + position]!)

/**
 * Plain loops over every product of a convolution and of its gradients, summed in float64: what `testKernel` compares kernels of these
 * ops with.
 */
export const convolutionReferences: {
  readonly [Op in ConvolutionOp]: Kernel<Op, 'reference'>
} = {
  convolution: referenceKernel('convolution'),
  convolutionBackwardInput: referenceKernel('convolutionBackwardInput'),
  convolutionBackwardFilter: referenceKernel('convolutionBackwardFilter'),
}
