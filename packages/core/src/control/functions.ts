import { type Batched, batchGraph, repeat } from '../batching/batch.ts'
import { leaf } from '../graph/build.ts'
import type { Node } from '../graph/node.ts'
import { Subgraph } from '../graph/subgraph.ts'

/**
 * A function of one example as one of a batch.
 *
 * @param batched which parameters have the batch axis in front
 * @param spread which outputs are to have it whether they depend on a batched parameter or not; all by default
 */
export function batchFunction(
  body: Subgraph,
  batched: readonly boolean[],
  size: number,
  spread: (output: number) => boolean = () => true,
): { readonly body: Subgraph; readonly batched: readonly boolean[] } {
  const parameters = body.parameters.map(({ shape, dtype }, i) => leaf(batched[i] ? [size, ...shape] : shape, dtype))
  const inputs = parameters.map((node, i): Batched => ({ node, batched: batched[i]! }))
  const outputs = batchGraph(body.outputs, body.parameters, inputs, size).map((output, i) =>
    output.batched || !spread(i) ? output : { node: repeat(output.node, size), batched: true },
  )
  return {
    body: new Subgraph(
      parameters,
      outputs.map(({ node }) => node),
    ),
    batched: outputs.map((output) => output.batched),
  }
}

/** A function made from the parameters' specifications on. */
export function subgraph(
  parameters: readonly Pick<Node, 'shape' | 'dtype'>[],
  body: (parameters: readonly Node[]) => readonly Node[],
): Subgraph {
  const own = parameters.map(({ shape, dtype }) => leaf(shape, dtype))
  return new Subgraph(own, body(own))
}
