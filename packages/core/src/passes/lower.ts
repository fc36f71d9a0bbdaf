import { TesseraError } from '../errors.ts'
import { cast, matmul, outputOf } from '../graph/build.ts'
import { widenedMatmul } from '../graph/compounds/widened-matmul.ts'
import { formatOf, isFloat } from '../graph/format.ts'
import { isMovement } from '../graph/kinds.ts'
import { createNode, type Graph, type Node, topologicalOrder } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { isPrimitive } from '../graph/primitives.ts'

const isNarrow = ({ dtype }: Node): boolean => isFloat(dtype) && formatOf(dtype).bits < 32

/** A product of narrow floats in f32, as they are accumulated anyway. */
function widened([a, b]: readonly [Node, Node]): Node {
  return cast(matmul(cast(a, 'f32'), cast(b, 'f32')), a.dtype)
}

/** The narrow floats that an operand of f32 has been cast from, moved as it is; other operands as they are. */
function narrowed(operand: Node): Node {
  const input = operand.inputs[0]
  if (operand.dtype !== 'f32' || !input) return operand
  if (operand.op === 'cast') return isNarrow(input) ? input : operand
  if (!isMovement(operand)) return operand
  const moved = narrowed(input)
  return moved === input ? operand : createNode(operand.definition, [moved], operand.attributes)
}

/** A product that reads narrow floats as they are stored, if it has such operands and a kernel takes them. */
function readingNarrow(
  product: Node,
  inputs: readonly [Node, Node],
  hasKernel: (node: Node) => boolean,
): Node | undefined {
  if (product.dtype !== 'f32' && !isNarrow(product)) return undefined
  const operands = inputs.map(narrowed)
  if (!operands.some(isNarrow)) return undefined
  const read = createNode(widenedMatmul, operands, {})
  return hasKernel(read) ? cast(read, product.dtype) : undefined
}

/**
 * Replaces ops by their definitions until only primitives are left, and ops that a kernel takes as a whole. Gradients are
 * taken before, so `stopGradient` goes as well.
 */
export function lower(graph: Graph, hasKernel: (node: Node) => boolean): Graph {
  // For each node, what its outputs have become.
  const lowered = new Map<Node, readonly Node[]>()
  const visit = (outputs: readonly Node[]): void => {
    for (const node of topologicalOrder(outputs, lowered)) {
      const results = lowerNode(node)
      lowered.set(node, results)
      // What has been lowered is not to be walked again.
      for (const result of results) if (!lowered.has(result)) lowered.set(result, [result])
    }
  }
  const lowerNode = (node: Node): readonly Node[] => {
    const inputs = node.inputs.map((input) => lowered.get(input)![0]!)
    if (node.op === 'output') return [lowered.get(node.inputs[0]!)![(node.attributes as OpAttributes['output']).index]!]
    if (node.op === 'stopGradient') return [inputs[0]!]
    const same = inputs.every((input, i) => input === node.inputs[i])
    const rebuilt = same ? node : createNode(node.definition, inputs, node.attributes)
    if (node.op === 'matmul') {
      const operands = inputs as [Node, Node]
      const read = readingNarrow(node, operands, hasKernel)
      if (read) return [read]
      if (isNarrow(node) && !hasKernel(rebuilt)) return [widened(operands)]
    }
    if (isPrimitive(node.op) || hasKernel(rebuilt)) return rebuilt.outputs.map((_, i) => outputOf(rebuilt, i))
    if (!node.definition.lower) {
      throw new TesseraError(
        'NO_DEFINITION',
        `${node.op}: no kernel takes this call and the op has no definition in other ops (lower). Give its definition one.`,
      )
    }
    const definition = node.definition.lower(inputs, node.attributes)
    visit(definition)
    return definition.map((output) => lowered.get(output)![0]!)
  }
  visit(graph.outputs)
  return { outputs: graph.outputs.map((output) => lowered.get(output)![0]!) }
}
