import type { OpDefinition } from '../plugin/contract.ts'
import type { DType } from './format.ts'
import type { OpAttributes, OpName } from './operations.ts'
import { notePlace } from './places.ts'
import { formatShape, type Shape } from './shape.ts'

/** Shape and number format of a tensor. */
export interface TensorSpec {
  readonly shape: Shape
  readonly dtype: DType
}

/**
 * One op applied to nodes. Nodes never change; edges point to the inputs, so a node holds on to what it is computed from.
 * A node with several outputs is read through `output` nodes; `shape` and `dtype` are those of its first output.
 */
export interface Node<Op extends OpName = OpName> extends TensorSpec {
  /** Increases with creation: an input's id is smaller than its user's. */
  readonly id: number
  readonly op: Op
  readonly definition: OpDefinition<Op>
  readonly inputs: readonly Node[]
  readonly attributes: OpAttributes[Op]
  readonly outputs: readonly TensorSpec[]
  /**
   * Where the value of a leaf is: the only thing about a node that changes, and no part of the graph.
   * @internal for `run/storage.ts`
   */
  value: unknown
}

/** A graph is its outputs: everything else is reached through their inputs. */
export interface Graph {
  readonly outputs: readonly Node[]
}

let nextId = 0

/** Applies an op: checks the operands and gives the node of its first output. */
export function createNode<Op extends OpName>(
  definition: OpDefinition<Op>,
  inputs: readonly Node[],
  attributes: OpAttributes[Op],
): Node<Op> {
  const outputs = definition.shape(inputs, attributes)
  const first = outputs[0]!
  const node: Node<Op> = {
    id: nextId++,
    op: definition.op,
    definition,
    inputs,
    attributes,
    outputs,
    shape: first.shape,
    dtype: first.dtype,
    value: undefined,
  }
  notePlace(node)
  return node
}

/** A new leaf of the same shape and format, without checks: every run of a program makes one for each of its outputs. */
export function leafLike(model: Node<'leaf'>, value: unknown): Node<'leaf'> {
  const { op, definition, inputs, attributes, outputs, shape, dtype } = model
  return { id: nextId++, op, definition, inputs, attributes, outputs, shape, dtype, value }
}

/**
 * Every node that the outputs depend on, inputs before users. Iterative: graphs may be tens of thousands of nodes deep.
 *
 * @param known nodes to leave out, with everything that only they depend on
 */
export function topologicalOrder(outputs: readonly Node[], known?: { has(node: Node): boolean }): Node[] {
  const seen = new Set<Node>()
  const stack: Node[] = [...outputs]
  while (stack.length > 0) {
    const node = stack.pop()!
    if (seen.has(node) || known?.has(node)) continue
    seen.add(node)
    for (const input of node.inputs) stack.push(input)
  }
  return [...seen].sort((a, b) => a.id - b.id)
}

/**
 * Outputs in groups that no computation connects; leaves connect nothing.
 *
 * @param order every node that the outputs depend on, inputs before users
 */
export function independentGroups(outputs: readonly Node[], order: readonly Node[]): Node[][] {
  const parents = new Map<Node, Node>()
  const root = (node: Node): Node => {
    let found = node
    for (let next = parents.get(found); next; next = parents.get(found)) found = next
    // Shortens the way for whoever asks next.
    for (let at = node; at !== found; ) {
      const next = parents.get(at)!
      parents.set(at, found)
      at = next
    }
    return found
  }
  for (const node of order) {
    for (const input of node.inputs) {
      if (input.op === 'leaf') continue
      const [a, b] = [root(node), root(input)]
      if (a !== b) parents.set(b, a)
    }
  }
  const groups = new Map<Node, Node[]>()
  for (const output of outputs) {
    const key = root(output)
    groups.set(key, [...(groups.get(key) ?? []), output])
  }
  return [...groups.values()]
}

export function formatSpec(spec: TensorSpec): string {
  return `${spec.dtype}${formatShape(spec.shape)}`
}
