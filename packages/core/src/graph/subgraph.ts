import { attributesKey } from './attributes.ts'
import { createNode, formatSpec, type Node, type TensorSpec, topologicalOrder } from './node.ts'
import { keepPlace } from './places.ts'

/**
 * A function as a graph, for ops that apply one: `checkpoint`, `scan`, `cond`, `whileLoop`. It is closed: its only leaves are its
 * parameters.
 */
export class Subgraph {
  readonly parameters: readonly Node[]
  readonly outputs: readonly Node[]
  #key: string | undefined

  constructor(parameters: readonly Node[], outputs: readonly Node[]) {
    this.parameters = parameters
    this.outputs = outputs
  }

  /** The same text for functions of the same structure. */
  get key(): string {
    this.#key ??= structureKey(this.outputs, this.parameters).key
    return this.#key
  }

  /** The nodes that compute the outputs, inputs before users. */
  get nodes(): readonly Node[] {
    return topologicalOrder(this.outputs)
  }

  /** Result of the function for other nodes in place of its parameters. */
  apply(inputs: readonly Node[]): readonly Node[] {
    return substitute(this.outputs, new Map(this.parameters.map((parameter, i) => [parameter, inputs[i]!])))
  }

  toString(): string {
    return `(${this.parameters.map(formatSpec).join(', ')}) → (${this.outputs.map(formatSpec).join(', ')}), ${this.nodes.length} nodes`
  }
}

/** Rebuilds nodes with others in place of some of those that they are computed from. */
export function substitute(outputs: readonly Node[], replacements: ReadonlyMap<Node, Node>): Node[] {
  const replaced = new Map(replacements)
  for (const node of topologicalOrder(outputs, replaced)) {
    const inputs = node.inputs.map((input) => replaced.get(input)!)
    const changed = inputs.some((input, i) => input !== node.inputs[i])
    const replacement = changed ? createNode(node.definition, inputs, node.attributes) : node
    if (changed) keepPlace(replacement, node)
    replaced.set(node, replacement)
  }
  return outputs.map((output) => replaced.get(output)!)
}

/**
 * What a graph is made of, without the values of its leaves: graphs with the same text compute the same function.
 *
 * @param first leaves that are numbered before the others, in this order
 */
export function structureKey(outputs: readonly Node[], first: readonly Node[] = []): { key: string; leaves: Node[] } {
  const positions = new Map<Node, number>()
  const leaves: Node[] = [...first]
  const lines: string[] = []
  const place = (node: Node): void => {
    const inputs = node.inputs.map((input) => positions.get(input)).join(',')
    positions.set(node, positions.size)
    lines.push(`${node.op}${attributesKey(node.attributes)}(${inputs})`)
  }
  for (const node of first) place(node)
  for (const node of topologicalOrder(outputs)) {
    if (positions.has(node)) continue
    if (node.op === 'leaf') leaves.push(node)
    place(node)
  }
  return { key: `${lines.join(';')}=>${outputs.map((output) => positions.get(output)).join(',')}`, leaves }
}

export const specOf = ({ shape, dtype }: TensorSpec): TensorSpec => ({ shape, dtype })
