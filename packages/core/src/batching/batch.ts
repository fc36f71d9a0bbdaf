import { TesseraError } from '../errors.ts'
import { broadcastTo, outputOf, reshape } from '../graph/build.ts'
import { createNode, type Node, topologicalOrder } from '../graph/node.ts'
import type { OpAttributes, PrimitiveName } from '../graph/operations.ts'
import { isPrimitive } from '../graph/primitives.ts'
import type { BatchContext } from '../plugin/contract.ts'
import { batchRules } from './rules.ts'

/** A value that may have one element for each member of a batch, along its first axis. */
export interface Batched {
  readonly node: Node
  readonly batched: boolean
}

/** Repeats a value along a new leading axis. */
export function repeat(x: Node, size: number): Node {
  return broadcastTo(reshape(x, [1, ...x.shape]), [size, ...x.shape])
}

/**
 * A function of one example as a function of a batch: graph → graph. `parameters` stand for one example; `inputs` are what they
 * stand for. What depends on no batched input stays as it is.
 *
 * @param size extent of the batch axis
 */
export function batchGraph(
  outputs: readonly Node[],
  parameters: readonly Node[],
  inputs: readonly Batched[],
  size: number,
): Batched[] {
  const oldest = parameters.reduce((least, { id }) => Math.min(least, id), Number.POSITIVE_INFINITY)
  // For each node, what its outputs have become.
  const values = new Map<Node, readonly Batched[]>(parameters.map((parameter, i) => [parameter, [inputs[i]!]]))
  // A node older than every parameter cannot depend on one.
  const known = { has: (node: Node) => values.has(node) || node.id < oldest }
  const batchedValue = (node: Node): Batched => values.get(node)?.[0] ?? { node, batched: false }

  const visit = (roots: readonly Node[]): void => {
    for (const node of topologicalOrder(roots, known)) values.set(node, batchNode(node))
  }
  const batchNode = (node: Node): readonly Batched[] => {
    if (node.op === 'output') {
      const { index } = node.attributes as OpAttributes['output']
      return [values.get(node.inputs[0]!)?.[index] ?? { node, batched: false }]
    }
    const operands = node.inputs.map(batchedValue)
    const batched = operands.map((operand) => operand.batched)
    if (!batched.includes(true)) return unbatched(node, operands)
    const context: BatchContext = {
      attributes: node.attributes,
      inputs: operands.map((operand) => operand.node),
      batched,
      size,
      spread: (i) => (batched[i] ? operands[i]!.node : repeat(operands[i]!.node, size)),
    }
    const own = node.definition.batch?.(context)
    if (own) return own.map((result) => ({ node: result, batched: true }))
    if (isPrimitive(node.op)) {
      type AnyRule = (context: BatchContext) => Node
      return [{ node: (batchRules[node.op as PrimitiveName] as AnyRule)(context), batched: true }]
    }
    if (!node.definition.lower) {
      throw new TesseraError(
        'NO_BATCHING',
        `vmap: ${node.op} has neither a batching rule (batch) nor a definition in other ops (lower). Give its definition one.`,
      )
    }
    const definition = node.definition.lower(node.inputs, node.attributes)
    visit(definition)
    return definition.map(batchedValue)
  }
  /** Inputs may stand for values that are not batched, and have to be put in their place all the same. */
  const unbatched = (node: Node, operands: readonly Batched[]): readonly Batched[] => {
    const same = operands.every((operand, i) => operand.node === node.inputs[i])
    const rebuilt = same ? node : rebuild(node, operands)
    return node.outputs.map((_, i) => ({ node: outputOf(rebuilt, i), batched: false }))
  }
  visit(outputs)
  return outputs.map(batchedValue)
}

function rebuild(node: Node, operands: readonly Batched[]): Node {
  return createNode(
    node.definition,
    operands.map((operand) => operand.node),
    node.attributes,
  )
}
