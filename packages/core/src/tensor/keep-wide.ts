import type { Node } from '../graph/node.ts'
import type { Tensor } from './tensor.ts'

const marked = new WeakSet<Node>()

/**
 * Marks a value that number formats leave in its float format, and gives it back. For values of which one tensor holds sizes further apart than a format
 * with one scale can tell from zero, and that are divided by: means of squares, as Adam keeps them, are twice as far apart (in bits) as what
 * was squared.
 *
 * @example
 * ```ts
 * import { formatPolicy, jit, keepWide, tensor, type Tensor } from '@tessera/core'
 * const state = { mean: tensor([0.2, 0.4]), square: tensor([0.2, 0.4]) }
 * const whole = formatPolicy({ name: 'whole', bits: 8, round: (x) => ({ value: x.round() }) })
 * const halve = jit((s: typeof state) => {
 *   s.mean = s.mean.multiply(2)
 *   s.square = keepWide(s.square.multiply(2))
 * }, { policy: whole })
 * halve(state)
 * console.log(await state.mean.data()) // [0, 1]
 * console.log(await state.square.data()) // about [0.4, 0.8]
 * ```
 */
export function keepWide(x: Tensor): Tensor {
  marked.add(x.node)
  return x
}

export const isKeptWide = (node: Node): boolean => marked.has(node)

/** Marks a node that takes the place of a marked one. */
export function keepWideLike(node: Node, original: Node): void {
  if (marked.has(original)) marked.add(node)
}
