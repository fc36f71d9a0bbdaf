import { checkpoint as definition } from '../control/checkpoint.ts'
import { outputOf } from '../graph/build.ts'
import { createNode } from '../graph/node.ts'
import { record } from './record.ts'
import { Tensor } from './tensor.ts'
import { mapTensors, tensorList } from './tree.ts'

/**
 * A function that keeps only its inputs for the backward pass and computes its values again there: memory for time. What it
 * draws with a random key, dropout say, is the same both times.
 *
 * @example
 * ```ts
 * import { checkpoint, grad, type Tensor, tensor } from '@tessera/core'
 * const block = checkpoint((x: Tensor) => x.exp().sin().exp())
 * console.log((await grad((x: Tensor) => block(block(x)).sum())(tensor([0.1])).data())[0])
 * ```
 */
export function checkpoint<Arguments extends unknown[], Result>(
  body: (...args: Arguments) => Result,
): (...args: Arguments) => Result {
  return (...args) => {
    const recorded = record(body, args)
    if (recorded.body.outputs.length === 0) return recorded.result
    const inputs = [...tensorList(args).map((tensor) => tensor.node), ...recorded.captured]
    const node = createNode(definition, inputs, { body: recorded.body })
    let next = 0
    return mapTensors(recorded.result, () => new Tensor(outputOf(node, next++)))
  }
}
