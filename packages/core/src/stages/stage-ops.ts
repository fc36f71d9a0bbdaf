import { isElementwise, isMovement, isReduction } from '../graph/kinds.ts'
import type { Node } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { sizeOf } from '../graph/shape.ts'
import type { Subgraph } from '../graph/subgraph.ts'

/** Nodes that a scan may add to a program when its steps are written out: what one more run of a program costs is worth about this many. */
const unrolledNodes = 256
/** Elements that both branches may compute where that is to cost less than asking the device which one is wanted. */
const selectedElements = 16_384

/** True for loops and branches that are run step by step; others are written out by their definitions. */
export function isStaged(node: Node): boolean {
  switch (node.op) {
    case 'scan': {
      const { body, length, unroll } = node.attributes as OpAttributes['scan']
      return !(unroll ?? length * body.nodes.length <= unrolledNodes) && length > 0
    }
    case 'whileLoop':
      return true
    case 'cond': {
      const { whenTrue, whenFalse } = node.attributes as OpAttributes['cond']
      return elementsOf(whenTrue) + elementsOf(whenFalse) > selectedElements
    }
    default:
      return false
  }
}

/** Elements that a function of cheap ops computes; infinitely many for any other. */
function elementsOf(body: Subgraph): number {
  let elements = 0
  for (const node of body.nodes) {
    if (node.op === 'leaf' || node.op === 'constant' || node.op === 'iota' || isMovement(node)) continue
    if (!isElementwise(node) && !isReduction(node)) return Number.POSITIVE_INFINITY
    elements += sizeOf(node.shape)
  }
  return elements
}
