import { attributesKey } from '../graph/attributes.ts'
import { createNode, type Graph, type Node, topologicalOrder } from '../graph/node.ts'

/**
 * Rebuilds a graph from its inputs on. `rule` sees each node with its inputs already rewritten, and as it was, and gives what takes its
 * place; equal nodes become one (common subexpressions). Leaves stay themselves.
 */
export function rewrite(graph: Graph, rule: (node: Node, original: Node) => Node): Graph {
  const replaced = new Map<Node, Node>()
  const unique = new Map<string, Node>()
  const once = (node: Node): Node => {
    if (node.op === 'leaf') return node
    const key = `${node.op}|${attributesKey(node.attributes)}|${node.inputs.map((input) => input.id).join(',')}`
    const known = unique.get(key)
    // Two packages may use one name for different ops only by mistake, which the registry refuses.
    if (known) return known
    unique.set(key, node)
    return node
  }
  for (const node of topologicalOrder(graph.outputs)) {
    const inputs = node.inputs.map((input) => replaced.get(input)!)
    const changed = inputs.some((input, i) => input !== node.inputs[i])
    const rebuilt = changed ? createNode(node.definition, inputs, node.attributes) : node
    const first = once(rebuilt)
    const ruled = rule(first, node)
    replaced.set(node, ruled === first ? first : once(ruled))
  }
  return { outputs: graph.outputs.map((output) => replaced.get(output)!) }
}
