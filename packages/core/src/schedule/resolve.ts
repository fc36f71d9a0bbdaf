import { isMovement } from '../graph/kinds.ts'
import type { Node } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { broadcastView, permuteView, reshapeView, rowMajorView, sliceView, type View } from '../graph/view.ts'

/** A node seen as a view of another one, whose elements are taken to lie in row-major order. */
export interface Resolved {
  readonly base: Node
  readonly view: View
}

/**
 * Follows movement ops down to the node that computes something. A movement that no strides can express (a reshape of a
 * transposed tensor) is its own base: it has to be copied.
 */
export class ViewResolver {
  readonly #resolved = new Map<Node, Resolved>()

  resolve(node: Node): Resolved {
    const known = this.#resolved.get(node)
    if (known) return known
    const chain: Node[] = []
    let current = node
    while (isMovement(current) && !this.#resolved.has(current)) {
      chain.push(current)
      current = current.inputs[0]!
    }
    let result = this.#resolved.get(current) ?? { base: current, view: rowMajorView(current.shape) }
    this.#resolved.set(current, result)
    for (const movement of chain.reverse()) {
      const view = apply(movement, result.view)
      result = view ? { base: result.base, view } : { base: movement, view: rowMajorView(movement.shape) }
      this.#resolved.set(movement, result)
    }
    return result
  }

  /** True for a movement that has to be copied. */
  isCopy(node: Node): boolean {
    return isMovement(node) && this.resolve(node).base === node
  }
}

function apply(movement: Node, view: View): View | undefined {
  switch (movement.op) {
    case 'reshape':
      return reshapeView(view, movement.shape)
    case 'permute':
      return permuteView(view, (movement.attributes as OpAttributes['permute']).axes)
    case 'broadcast':
      return broadcastView(view, movement.shape)
    default: {
      const { starts, steps } = movement.attributes as OpAttributes['slice']
      return sliceView(view, starts, movement.shape, steps)
    }
  }
}
