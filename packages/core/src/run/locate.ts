import { TesseraError } from '../errors.ts'
import { leaf } from '../graph/build.ts'
import { createNode, type Graph, type Node, topologicalOrder } from '../graph/node.ts'
import { placeOf, withoutPlaces } from '../graph/places.ts'
import { Subgraph } from '../graph/subgraph.ts'
import { compileGraph, type PipelineOptions } from '../pipeline.ts'
import type { Compiled, DonorsOf } from '../stages/compiled.ts'

/** Compiles a graph. That the backend has no kernel for something is reported, or noted, with the call that asked for it. */
export function compileLocated(graph: Graph, donorsOf: DonorsOf, options: PipelineOptions): Compiled {
  const { onHost } = options
  const telling = onHost && {
    ...onHost,
    notice: (error: TesseraError) => onHost.notice(located(graph, options) ?? error),
  }
  return withoutPlaces(() => {
    try {
      return compileGraph(graph, donorsOf, { ...options, ...(telling && { onHost: telling }) })
    } catch (error) {
      throw (isNoKernel(error) && located(graph, options)) || error
    }
  })
}

const isNoKernel = (error: unknown): error is TesseraError =>
  error instanceof TesseraError && error.code === 'NO_KERNEL'

/** The error of the first node that does not compile alone: calls of a program stand for many nodes, and their places are gone. */
function located(graph: Graph, { onStage: _, onHost: __, ...quietly }: PipelineOptions): TesseraError | undefined {
  for (const node of allNodes(graph.outputs)) {
    const place = placeOf(node)
    // Leaves are memory; an output is read from a node that was tried.
    if (!place || node.op === 'leaf' || node.op === 'output') continue
    try {
      compileGraph({ outputs: [alone(node)] }, () => [], quietly)
    } catch (error) {
      if (isNoKernel(error))
        return new TesseraError(error.code, `${node.op}: ${error.message}`, { place, cause: error })
    }
  }
  return undefined
}

/** The nodes of a graph and of the functions that its loops and branches apply. */
function* allNodes(outputs: readonly Node[]): Generator<Node> {
  for (const node of topologicalOrder(outputs)) {
    for (const attribute of Object.values(node.attributes))
      if (attribute instanceof Subgraph) yield* allNodes(attribute.outputs)
    yield node
  }
}

function alone(node: Node): Node {
  const inputs = node.inputs.map(({ shape, dtype }) => leaf(shape, dtype))
  return createNode(node.definition, inputs, node.attributes)
}
