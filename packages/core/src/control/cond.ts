import { gradients } from '../autodiff/gradient.ts'
import { tangents } from '../autodiff/tangent.ts'
import { broadcastTo, outputOf, reshape, where, zerosLike } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { createNode, type Node } from '../graph/node.ts'
import { type Subgraph, specOf } from '../graph/subgraph.ts'
import type { OpDefinition } from '../plugin/contract.ts'
import { batchFunction, subgraph } from './functions.ts'

/** One of two functions. The definition computes both and selects, as for a batch of predicates. */
export const cond: OpDefinition<'cond'> = {
  op: 'cond',
  shape: (_, { whenTrue }) => whenTrue.outputs.map(specOf),
  lower: ([predicate, ...operands], { whenTrue, whenFalse }) => {
    const other = whenFalse.apply(operands)
    return whenTrue.apply(operands).map((value, i) => where(predicate!, value, other[i]!))
  },
  // Each branch computes its own values again: what is kept of a branch could not be had from the other one.
  vjp: ({ inputs: [predicate, ...operands], cotangents, needs, attributes: { whenTrue, whenFalse } }) => {
    const seeds = cotangents.flatMap((cotangent, i) => (cotangent ? [{ i, cotangent }] : []))
    const wanted = operands.flatMap(({ dtype }, i) => (needs[i + 1] && isFloat(dtype) ? [i] : []))
    const pullback = (branch: Subgraph) =>
      subgraph([...operands, ...seeds.map(({ cotangent }) => cotangent)], (parameters) => {
        const own = parameters.slice(0, operands.length)
        const applied = branch.apply(own)
        const found = gradients(
          seeds.map(({ i }) => applied[i]!),
          parameters.slice(operands.length),
          wanted.map((i) => own[i]!),
        )
        return found.map((gradient, i) => gradient ?? zerosLike(own[wanted[i]!]!))
      })
    if (wanted.length === 0) return []
    const node = choose(
      predicate!,
      [...operands, ...seeds.map(({ cotangent }) => cotangent)],
      pullback(whenTrue),
      pullback(whenFalse),
    )
    const toInputs = new Array<Node | undefined>(operands.length + 1)
    wanted.forEach((i, at) => {
      toInputs[i + 1] = outputOf(node, at)
    })
    return toInputs
  },
  jvp: ({ inputs: [predicate, ...operands], outputs, tangents: [, ...directions], attributes }) => {
    const moving = directions.flatMap((direction, i) => (direction ? [{ i, direction }] : []))
    const moved = outputs.flatMap(({ dtype }, i) => (isFloat(dtype) ? [i] : []))
    const push = (branch: Subgraph) =>
      subgraph([...operands, ...moving.map(({ direction }) => direction)], (parameters) => {
        const own = parameters.slice(0, operands.length)
        const applied = branch.apply(own)
        const found = tangents(
          moved.map((i) => applied[i]!),
          moving.map(({ i }) => own[i]!),
          parameters.slice(operands.length),
        )
        return found.map((tangent, i) => tangent ?? zerosLike(applied[moved[i]!]!))
      })
    if (moved.length === 0) return []
    const node = choose(
      predicate!,
      [...operands, ...moving.map(({ direction }) => direction)],
      push(attributes.whenTrue),
      push(attributes.whenFalse),
    )
    return outputs.map((_, i) => (moved.includes(i) ? outputOf(node, moved.indexOf(i)) : undefined))
  },
  batch: ({ inputs: [predicate, ...operands], batched: [isSplit, ...batched], size, attributes }) => {
    const whenTrue = batchFunction(attributes.whenTrue, batched, size).body
    const whenFalse = batchFunction(attributes.whenFalse, batched, size).body
    if (!isSplit) {
      const node = choose(predicate!, operands, whenTrue, whenFalse)
      return node.outputs.map((_, i) => outputOf(node, i))
    }
    const other = whenFalse.apply(operands)
    return whenTrue.apply(operands).map((value, i) => select(predicate!, value, other[i]!))
  },
}

const choose = (predicate: Node, operands: readonly Node[], whenTrue: Subgraph, whenFalse: Subgraph): Node =>
  createNode(cond, [predicate, ...operands], { whenTrue, whenFalse })

/** One of two values for each element of a batch. */
export function select(predicates: Node, whenTrue: Node, whenFalse: Node): Node {
  const mask = reshape(predicates, [predicates.shape[0]!, ...whenTrue.shape.slice(1).map(() => 1)])
  return where(broadcastTo(mask, whenTrue.shape), whenTrue, whenFalse)
}
