import { rememberPlace } from '../stack.ts'
import type { DType } from './format.ts'
import type { Node } from './node.ts'

/**
 * Where nodes were made, for errors that only a backend can find. Every backend computes with the usual formats, so only nodes with others can lack
 * a kernel, and only theirs are worth the microseconds that a stack costs.
 */
const usual: ReadonlySet<DType> = new Set<DType>(['f32', 'i32', 'u32', 'bool'])

const places = new WeakMap<Node, Error>()
let isRewriting = false

const isUsual = ({ inputs, outputs }: Node): boolean =>
  outputs.every(({ dtype }) => usual.has(dtype)) && inputs.every(({ dtype }) => usual.has(dtype))

export function notePlace(node: Node): void {
  if (!isRewriting && !isUsual(node)) places.set(node, rememberPlace())
}

/** Where the user's code made a node, if it was noted. */
export const placeOf = (node: Node): Error | undefined => places.get(node)

/** A node in place of another: it was made where that was. */
export function keepPlace(replacement: Node, node: Node): void {
  const place = places.get(node)
  if (place) places.set(replacement, place)
}

/** Nodes that passes make are nobody's lines. */
export function withoutPlaces<Result>(body: () => Result): Result {
  const before = isRewriting
  isRewriting = true
  try {
    return body()
  } finally {
    isRewriting = before
  }
}
