import { formatSpec, type Graph, type Node, topologicalOrder } from './node.ts'

/** A graph as text, a line for each node: `%3 = add f32[2, 3] (%1, %2)`. */
export function formatGraph(graph: Graph): string {
  const names = new Map<Node, string>()
  const lines = topologicalOrder(graph.outputs).map((node, i) => {
    names.set(node, `%${i}`)
    const inputs = node.inputs.map((input) => names.get(input)).join(', ')
    const attributes = formatAttributes(node)
    return `%${i} = ${node.op} ${formatSpec(node)} (${inputs})${attributes}`
  })
  return [...lines, `outputs: ${graph.outputs.map((output) => names.get(output)).join(', ')}`].join('\n')
}

function formatAttributes(node: Node): string {
  const shown = Object.entries(node.attributes).filter(([key]) => key !== 'shape' && key !== 'dtype')
  if (shown.length === 0) return ''
  return ` {${shown.map(([key, value]) => `${key}: ${Array.isArray(value) ? `[${value.join(', ')}]` : String(value)}`).join(', ')}}`
}
