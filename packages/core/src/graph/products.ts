import { ShapeError } from '../errors.ts'
import * as build from './build.ts'
import { formatSpec, type Node } from './node.ts'
import { sizeOf } from './shape.ts'

/** NumPy's matrix product: the last two axes; earlier ones broadcast; a vector counts as a row (left) or a column (right). */
export function matrixProduct(a: Node, b: Node): Node {
  if (a.shape.length === 0 || b.shape.length === 0) {
    throw new ShapeError(
      `matmul: takes tensors with at least one axis, got ${formatSpec(a)} and ${formatSpec(b)}. Use multiply for scalars.`,
    )
  }
  const left = a.shape.length === 1 ? build.reshape(a, [1, a.shape[0]!]) : a
  const right = b.shape.length === 1 ? build.reshape(b, [b.shape[0]!, 1]) : b
  const product = batchedProduct(left, right)
  const shape = [...product.shape]
  if (b.shape.length === 1) shape.pop()
  if (a.shape.length === 1) shape.splice(b.shape.length === 1 ? shape.length - 1 : shape.length - 2, 1)
  return build.reshape(product, shape)
}

function batchedProduct(a: Node, b: Node): Node {
  // One large product instead of many small ones: [..., M, K] × [K, N] is [… · M, K] × [K, N].
  if (b.shape.length === 2 && a.shape.length > 2 && a.shape.at(-1) === b.shape[0]) {
    const rows = sizeOf(a.shape.slice(0, -1))
    return build.reshape(build.matmul(build.reshape(a, [rows, b.shape[0]!]), b), [...a.shape.slice(0, -1), b.shape[1]!])
  }
  const batch = (x: Node) => x.shape.slice(0, -2)
  const rank = Math.max(a.shape.length, b.shape.length)
  const extents = Array.from({ length: rank - 2 }, (_, i) => {
    const extent = (x: Node) => batch(x)[batch(x).length - (rank - 2) + i] ?? 1
    return extent(a) === 1 ? extent(b) : extent(a)
  })
  const spread = (x: Node) => build.broadcastTo(x, [...extents, ...x.shape.slice(-2)])
  return build.matmul(spread(a), spread(b))
}
