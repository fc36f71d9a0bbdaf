import { TesseraError } from '../errors.ts'
import { full, outputOf } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { type Node, topologicalOrder } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { isPrimitive } from '../graph/primitives.ts'
import { gradients, inputGradients } from './gradient.ts'

/**
 * Forward-mode derivatives as graph → graph: the tangent of each output, `undefined` where none flows, when `inputs[i]` moves
 * with `tangents[i]`.
 *
 * An op without a rule of its own (`jvp`) gets its tangent from its gradient: the pull-back is linear, and the gradient of a
 * linear map is its transpose, so the gradient of the pull-back is the push-forward. Forward and reverse mode can therefore
 * never disagree, and an op with any gradient has both.
 */
export function tangents(
  outputs: readonly Node[],
  inputs: readonly Node[],
  directions: readonly (Node | undefined)[],
): (Node | undefined)[] {
  const oldest = inputs.reduce((least, { id }) => Math.min(least, id), Number.POSITIVE_INFINITY)
  // For each node, the tangents of its outputs.
  const known = new Map<Node, readonly (Node | undefined)[]>(inputs.map((input, i) => [input, [directions[i]]]))
  const passed = { has: (node: Node) => known.has(node) || node.id < oldest }
  const tangentOf = (node: Node): Node | undefined => known.get(node)?.[0]

  const visit = (roots: readonly Node[]): void => {
    for (const node of topologicalOrder(roots, passed)) known.set(node, tangentsOfNode(node))
  }
  const tangentsOfNode = (node: Node): readonly (Node | undefined)[] => {
    if (node.op === 'output') return [known.get(node.inputs[0]!)?.[(node.attributes as OpAttributes['output']).index]]
    if (node.op === 'stopGradient') return []
    const moving = node.inputs.map(tangentOf)
    if (moving.every((tangent) => tangent === undefined)) return []
    const { definition, inputs: operands, attributes } = node
    if (definition.jvp) {
      const own = node.outputs.map((_, i) => outputOf(node, i))
      return definition.jvp({ attributes, inputs: operands, outputs: own, tangents: moving })
    }
    if (isPrimitive(node.op) || definition.vjp) return transposedTwice(node, moving)
    if (!definition.lower) {
      throw new TesseraError(
        'NO_GRADIENT',
        `${node.op}: the op has no tangent (jvp), no gradient (vjp) and no definition in other ops (lower). Give its definition one.`,
      )
    }
    const lowered = definition.lower(operands, attributes)
    visit(lowered)
    return lowered.map(tangentOf)
  }
  visit(outputs)
  return outputs.map(tangentOf)
}

/** The tangents of a node's outputs as the gradient of its pull-back, taken at zero. */
function transposedTwice(node: Node, moving: readonly (Node | undefined)[]): (Node | undefined)[] {
  const seeds = node.outputs.map(({ shape, dtype }) => (isFloat(dtype) ? freshZeros(shape, dtype) : undefined))
  const needs = moving.map((tangent) => tangent !== undefined)
  const pulled = inputGradients(node, seeds, needs)
  const reached = pulled.flatMap((gradient, i) => (gradient && moving[i] ? [{ gradient, tangent: moving[i] }] : []))
  const present = seeds.filter((seed) => seed !== undefined)
  const pushed = gradients(
    reached.map(({ gradient }) => gradient),
    reached.map(({ tangent }) => tangent),
    present,
  )
  return seeds.map((seed) => seed && pushed[present.indexOf(seed)])
}

/** Zeros that no other node is: they stand for the unknown that the pull-back is linear in. */
function freshZeros(shape: Node['shape'], dtype: Node['dtype']): Node {
  return full(shape, 0, dtype)
}
