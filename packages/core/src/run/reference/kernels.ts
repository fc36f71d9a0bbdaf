import type { OpName } from '../../graph/operations.ts'
import { sizeOf } from '../../graph/shape.ts'
import type { Kernel, Limits } from '../../plugin/contract.ts'
import type { OpCall } from '../../schedule/program.ts'
import { buildWithEpilogue } from './epilogue.ts'
import { buildFused } from './fused.ts'
import { buildGather, buildScatter } from './gather.ts'
import { buildMatmul } from './matmul.ts'

/** Results are exact to float64 and rounded once, when they are stored: at most half a unit in the last place of f32. */
const storageTolerance = 2 ** -24

function kernel<Op extends OpName>(
  op: Op,
  operations: (call: OpCall<Op>) => number,
  build: (call: OpCall<Op>) => ReturnType<Kernel<Op, 'reference'>['build']>,
): Kernel<Op, 'reference'> {
  return {
    name: `reference/${op}`,
    op,
    backend: 'reference',
    tolerance: storageTolerance,
    layouts: 'any',
    epilogues: true,
    cost: (call, limits: Limits) =>
      limits.microsecondsPerCall + (operations(call) + after(call)) / (limits.gigaflops * 1000),
    build: (call) => buildWithEpilogue(call, build),
  }
}

/** Operations of a call's epilogue. */
const after = ({ epilogue }: OpCall): number =>
  epilogue ? sizeOf(epilogue.result.shape) * epilogue.body.instructions.length : 0

const elements = (call: OpCall): number =>
  [...call.inputs, ...call.outputs].reduce((sum, { view }) => sum + sizeOf(view.shape), 0)

/** Interpreters of the four ops that every program consists of. They take any view and every format of core. */
export const referenceKernels: readonly Kernel[] = [
  kernel(
    'fused',
    (call) => sizeOf(call.attributes.domain) * call.attributes.instructions.length,
    (call) => buildFused(call),
  ),
  kernel('matmul', (call) => 2 * sizeOf(call.outputs[0]!.view.shape) * call.inputs[0]!.view.shape.at(-1)!, buildMatmul),
  kernel('gather', elements, buildGather),
  kernel('scatter', elements, buildScatter),
]
