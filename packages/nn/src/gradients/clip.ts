import { full, mapTensors, type Node, type Tensor, TesseraError, tensorsIn, zeros } from '@tessera/core'

/** Euclidean norm of all the tensors of a tree together, f32. A tensor at two paths counts once. */
export function globalNorm(tree: unknown): Tensor {
  const unique = new Map(tensorsIn(tree).map((x) => [x.node, x]))
  const squares = [...unique.values()].map((x) => x.cast('f32').square().sum())
  const [first, ...rest] = squares
  return first ? rest.reduce((total, square) => total.add(square), first).sqrt() : zeros([])
}

/**
 * Scales gradients down together so that their global norm is at most `maximum` (Pascanu et al. 2013, algorithm 1). Gives
 * the norm from before. A norm that is not finite stays visible in it.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { clipByGlobalNorm } from '@tessera/nn'
 * const { gradients, norm } = clipByGlobalNorm({ weight: tensor([3, 0]), bias: tensor([4]) }, 1)
 * console.log(await norm.item(), await gradients.weight.data(), await gradients.bias.data()) // 5, [0.6, 0], [0.8]
 * ```
 */
export function clipByGlobalNorm<Tree>(gradients: Tree, maximum: number): { gradients: Tree; norm: Tensor } {
  if (!(maximum > 0)) {
    throw new TesseraError('CLIP_OPTIONS', `clipByGlobalNorm: the maximum must be above 0, got ${maximum}.`)
  }
  const norm = globalNorm(gradients)
  // Exactly 1 where the norm is within bounds.
  const factor = full([], maximum).divide(norm.maximum(maximum))
  const scaled = new Map<Node, Tensor>()
  const clipped = mapTensors(gradients, (gradient) => {
    const known = scaled.get(gradient.node) ?? gradient.multiply(factor.cast(gradient.dtype))
    scaled.set(gradient.node, known)
    return known
  })
  return { gradients: clipped, norm }
}
