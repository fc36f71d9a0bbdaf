import { formatOf } from '../../graph/format.ts'
import type { OpName } from '../../graph/operations.ts'
import { sizeOf } from '../../graph/shape.ts'
import type { ReferenceKernelProgram } from '../../plugin/contract.ts'
import { type OpCall, ownInputs, resultOf } from '../../schedule/program.ts'
import { buildFused } from './fused.ts'

/**
 * Builds calls with epilogues from calls without: the op's result goes to an array of its own, and the epilogue reads that. It
 * makes any reference kernel of an op with one output take epilogues.
 */
export function buildWithEpilogue<Op extends OpName>(
  call: OpCall<Op>,
  build: (call: OpCall<Op>) => ReferenceKernelProgram,
): ReferenceKernelProgram {
  const { epilogue } = call
  if (!epilogue) return build(call)
  const { result, body, firstInput } = epilogue
  const own = resultOf(call)
  const { op, attributes } = call
  const compute = build({ op, attributes, inputs: ownInputs(call), outputs: [own] })
  const finish = buildFused({
    op: 'fused',
    attributes: body,
    inputs: [own, ...call.inputs.slice(firstInput)],
    outputs: call.outputs,
  })
  const { array } = formatOf(result.dtype)
  return (inputs, outputs) => {
    const values = new array(sizeOf(result.shape))
    compute(inputs.slice(0, firstInput), [values])
    finish([values, ...inputs.slice(firstInput)], outputs)
  }
}
