import { ShapeError } from '../errors.ts'
import * as build from './build.ts'
import { isFloat, promote } from './format.ts'
import { formatSpec, type Node } from './node.ts'
import { sizeOf } from './shape.ts'

/** NumPy's matrix product: the last two axes; earlier ones broadcast; a vector counts as a row (left) or a column (right). */
export function matrixProduct(a: Node, b: Node): Node {
  if (a.shape.length === 0 || b.shape.length === 0) {
    throw new ShapeError(
      `matmul: takes tensors with at least one axis, got ${formatSpec(a)} and ${formatSpec(b)}. Use multiply for scalars.`,
    )
  }
  const dtype = promote(a.dtype, b.dtype)
  const left = build.cast(a.shape.length === 1 ? build.reshape(a, [1, a.shape[0]!]) : a, dtype)
  const right = build.cast(b.shape.length === 1 ? build.reshape(b, [b.shape[0]!, 1]) : b, dtype)
  const product = batchedProduct(left, right)
  const shape = [...product.shape]
  if (b.shape.length === 1) shape.pop()
  if (a.shape.length === 1) shape.splice(b.shape.length === 1 ? shape.length - 1 : shape.length - 2, 1)
  return build.reshape(product, shape)
}

function batchedProduct(a: Node, b: Node): Node {
  // One large product instead of many small ones: [..., M, K] × [K, N] is [… · M, K] × [K, N].
  if (isFloat(a.dtype) && b.shape.length === 2 && a.shape.length > 2 && a.shape.at(-1) === b.shape[0]) {
    const rows = sizeOf(a.shape.slice(0, -1))
    return build.reshape(build.matmul(build.reshape(a, [rows, b.shape[0]!]), b), [...a.shape.slice(0, -1), b.shape[1]!])
  }
  const batch = (x: Node) => x.shape.slice(0, -2)
  const rank = Math.max(a.shape.length, b.shape.length)
  const extents = Array.from({ length: rank - 2 }, (_, i) => {
    const extent = (x: Node) => batch(x)[batch(x).length - (rank - 2) + i] ?? 1
    return extent(a) === 1 ? extent(b) : extent(a)
  })
  if (!isFloat(a.dtype)) return integerProduct(a, b, extents)
  const spread = (x: Node) => build.broadcastTo(x, [...extents, ...x.shape.slice(-2)])
  return build.matmul(spread(a), spread(b))
}

/** Integers have no product of matrices of their own: all pairs are multiplied and summed. */
function integerProduct(a: Node, b: Node, batch: readonly number[]): Node {
  const [rows, inner] = a.shape.slice(-2) as [number, number]
  const columns = b.shape.at(-1)!
  if (inner !== b.shape.at(-2)) {
    throw new ShapeError(
      `matmul: ${formatSpec(a)} × ${formatSpec(b)} does not fit: the last axis of the first must equal the last but one of the second.`,
    )
  }
  const left = build.reshape(a, [...a.shape, 1])
  const right = build.reshape(b, [...b.shape.slice(0, -2), 1, inner, columns])
  const products = build.multiply(left, right)
  return build.reshape(build.sum(products, products.shape.length - 2), [...batch, rows, columns])
}
