import type { BatchContext, OpDefinition } from '../../plugin/contract.ts'
import { reshape } from '../build.ts'
import { createNode, type Node } from '../node.ts'
import type { OpName } from '../operations.ts'

/**
 * Batching of an op whose first inputs are `[N, ...]`, one result for each of N: `[batch, N, ...]` is `[batch · N, ...]`.
 *
 * @param merged inputs with an axis N; a batch over any other input is left to the definition
 */
export function mergeBatch<Op extends OpName>(
  definition: OpDefinition<Op>,
  { inputs, attributes, batched, size, spread }: BatchContext<Op>,
  merged: number,
): readonly Node[] | undefined {
  if (batched.some((isBatched, i) => isBatched && i >= merged)) return undefined
  const together = inputs.map((input, i) => {
    if (i >= merged) return input
    const { shape } = spread(i)
    return reshape(spread(i), [size * shape[1]!, ...shape.slice(2)])
  })
  const node = createNode(definition, together, attributes)
  return [reshape(node, [size, node.shape[0]! / size, ...node.shape.slice(1)])]
}
