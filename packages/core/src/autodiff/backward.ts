import { type Node, topologicalOrder } from '../graph/node.ts'
import { gradients } from './gradient.ts'

/** Nodes of backward passes; a node that the forward pass made is never among them. */
const made = new WeakSet<Node>()
/** Gradients of losses with respect to themselves, where backward passes start, and those of the inputs, which they give. */
const starts = new WeakSet<Node>()
const results = new WeakSet<Node>()

/** As `gradients`, for a whole function: the nodes that it adds are known as its backward pass afterwards. */
export function backward(
  outputs: readonly Node[],
  seeds: readonly Node[],
  inputs: readonly Node[],
): (Node | undefined)[] {
  const newest = [...outputs, ...inputs].reduce((most, { id }) => Math.max(most, id), -1)
  const found = gradients(outputs, seeds, inputs)
  const given = found.filter((node) => node !== undefined)
  for (const node of topologicalOrder(given, { has: ({ id }) => id <= newest })) made.add(node)
  for (const seed of seeds) starts.add(seed)
  for (const node of given) results.add(node)
  return found
}

/** Whether a node belongs to a backward pass. */
export const isGradient = (node: Node): boolean => made.has(node)

/** Whether a backward pass starts with a node, and whether it gives it to who asked for gradients. */
export const startsBackward = (node: Node): boolean => starts.has(node)
export const isGradientResult = (node: Node): boolean => results.has(node)

/** Counts a node that takes the place of another one to the same pass. */
export function markLike(node: Node, original: Node): void {
  if (made.has(original)) made.add(node)
}
