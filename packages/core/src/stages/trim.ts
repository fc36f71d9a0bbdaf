import { outputOf } from '../graph/build.ts'
import { createNode, type Graph, type Node, topologicalOrder } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { Subgraph } from '../graph/subgraph.ts'

/** Drops the results of scans that nothing uses, and then the carries, sequences and shared values that only these needed. */
export function trimScans(graph: Graph): Graph {
  const order = topologicalOrder(graph.outputs)
  if (!order.some((node) => node.op === 'scan')) return graph
  const used = usedOutputs(graph, order)
  const replaced = new Map<Node, Node>()
  const trimmed = new Map<Node, { readonly node: Node; readonly outputs: readonly number[] }>()
  for (const node of order) {
    const uses = used.get(node)
    if (!uses) continue
    if (node.op === 'scan') {
      const { inputs, outputs, attributes } = kept(node as Node<'scan'>, uses)
      const rebuilt = createNode(
        node.definition,
        inputs.map((i) => replaced.get(node.inputs[i]!)!),
        attributes,
      )
      trimmed.set(node, { node: rebuilt, outputs })
      replaced.set(node, outputOf(rebuilt, Math.max(0, outputs.indexOf(0))))
      continue
    }
    const source = node.op === 'output' ? trimmed.get(node.inputs[0]!) : undefined
    if (source) {
      const { index } = node.attributes as OpAttributes['output']
      replaced.set(node, outputOf(source.node, source.outputs.indexOf(index)))
      continue
    }
    const inputs = node.inputs.map((input) => replaced.get(input)!)
    const same = inputs.every((input, i) => input === node.inputs[i])
    replaced.set(node, same ? node : createNode(node.definition, inputs, node.attributes))
  }
  return { outputs: graph.outputs.map((output) => replaced.get(output)!) }
}

/** For each node that matters, which of its outputs do. */
function usedOutputs(graph: Graph, order: readonly Node[]): Map<Node, Set<number>> {
  const used = new Map<Node, Set<number>>()
  const use = (node: Node, output: number): void => {
    const known = used.get(node) ?? new Set()
    used.set(node, known.add(output))
  }
  for (const output of graph.outputs) use(output, 0)
  for (const node of [...order].reverse()) {
    const uses = used.get(node)
    if (!uses) continue
    if (node.op === 'output') use(node.inputs[0]!, (node.attributes as OpAttributes['output']).index)
    else if (node.op === 'scan') for (const i of kept(node as Node<'scan'>, uses).inputs) use(node.inputs[i]!, 0)
    else for (const input of node.inputs) use(input, 0)
  }
  return used
}

/** The inputs and outputs of a scan that matter when some of its outputs do, and the scan of only these. */
function kept({ attributes }: Node<'scan'>, uses: ReadonlySet<number>) {
  const { body, carries, sequences } = attributes
  const outputs = new Set(uses)
  let reached = new Set<Node>()
  for (let size = -1; outputs.size !== size; ) {
    size = outputs.size
    reached = new Set(topologicalOrder([...outputs].map((i) => body.outputs[i]!)))
    for (let i = 0; i < carries; i++) if (reached.has(body.parameters[i]!)) outputs.add(i)
  }
  // A carry that only replaces itself is an input all the same.
  const inputs = body.parameters.flatMap((parameter, i) =>
    (i < carries ? outputs.has(i) : reached.has(parameter)) ? [i] : [],
  )
  const list = [...outputs].sort((a, b) => a - b)
  return {
    inputs,
    outputs: list,
    attributes: {
      ...attributes,
      body: new Subgraph(
        inputs.map((i) => body.parameters[i]!),
        list.map((i) => body.outputs[i]!),
      ),
      carries: inputs.filter((i) => i < carries).length,
      sequences: inputs.filter((i) => i >= carries && i < carries + sequences).length,
    },
  }
}
