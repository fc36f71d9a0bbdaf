import { gradients } from '../autodiff/gradient.ts'
import { tangents } from '../autodiff/tangent.ts'
import { barrier, outputOf } from '../graph/build.ts'
import { createNode } from '../graph/node.ts'
import { specOf } from '../graph/subgraph.ts'
import type { OpDefinition } from '../plugin/contract.ts'
import { batchFunction } from './functions.ts'

/**
 * A function whose values the backward pass computes again from its inputs (Chen et al. 2016). The inputs pass a barrier, which
 * holds the second computation apart from the first, and behind the gradients that reach it.
 */
export const checkpoint: OpDefinition<'checkpoint'> = {
  op: 'checkpoint',
  shape: (_, { body }) => body.outputs.map(specOf),
  lower: (inputs, { body }) => body.apply(inputs),
  vjp: ({ inputs, cotangents, attributes: { body } }) => {
    const after = cotangents.filter((cotangent) => cotangent !== undefined)
    const again = inputs.map((input) => barrier(input, after))
    return gradients(body.apply(again), cotangents, again)
  },
  jvp: ({ inputs, tangents: directions, attributes: { body } }) => tangents(body.apply(inputs), inputs, directions),
  batch: ({ inputs, batched, size, attributes: { body } }) => {
    const { body: together } = batchFunction(body, batched, size)
    const node = createNode(checkpoint, inputs, { body: together })
    return node.outputs.map((_, i) => outputOf(node, i))
  },
}
