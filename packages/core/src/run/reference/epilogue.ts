import { formatOf } from '../../graph/format.ts'
import type { OpName } from '../../graph/operations.ts'
import { sizeOf } from '../../graph/shape.ts'
import { rowMajorView } from '../../graph/view.ts'
import type { ReferenceKernelProgram } from '../../plugin/contract.ts'
import { type OpCall, type Operand, ownInputs } from '../../schedule/program.ts'
import { buildFused } from './fused.ts'

/** The id of the buffer that holds a call's own result; no buffer of a program has it. */
const resultBuffer = -1

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
  const own: Operand = { buffer: resultBuffer, dtype: result.dtype, view: rowMajorView(result.shape) }
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
