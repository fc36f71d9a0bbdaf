import { TesseraError } from '../errors.ts'
import { formatSpec, type Graph, topologicalOrder } from './node.ts'
import { sameShape } from './shape.ts'

/** Checks what every pass must keep: shapes and formats are those of the op's rule, inputs are older than their users. */
export function verify(graph: Graph): void {
  for (const node of topologicalOrder(graph.outputs)) {
    if (node.inputs.some((input) => input.id >= node.id)) {
      throw new TesseraError('INTERNAL', `${node.op}: a pass made a node that is older than its input.`)
    }
    const expected = node.definition.shape(node.inputs, node.attributes)
    const agrees =
      expected.length === node.outputs.length &&
      expected.every(
        (spec, i) => spec.dtype === node.outputs[i]!.dtype && sameShape(spec.shape, node.outputs[i]!.shape),
      )
    if (!agrees) {
      throw new TesseraError(
        'INTERNAL',
        `${node.op}: a pass left ${node.outputs.map(formatSpec).join(', ')} where the op gives ${expected.map(formatSpec).join(', ')}.`,
      )
    }
  }
}
