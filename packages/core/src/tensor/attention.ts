import { outputOf } from '../graph/build.ts'
import { attention as attentionOp } from '../graph/compounds/attention.ts'
import { createNode } from '../graph/node.ts'
import { Tensor } from './tensor.ts'

export interface AttentionOptions {
  /** Query `i` sees no key after its own position. */
  readonly causal?: boolean
  /** Factor of the scores; 1/√D by default. */
  readonly scale?: number
  /** Position of the first query among the keys (i32 scalar), for decoding with a cache; by default the queries end with the keys. */
  readonly offset?: Tensor
}

/**
 * Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1).
 *
 * @param query `[..., Tq, D]`
 * @param key `[..., Tk, D]`
 * @param value `[..., Tk, E]`
 * @returns `[..., Tq, E]`
 */
export function attention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, scale = 1 / Math.sqrt(query.shape.at(-1) ?? 1), offset } = options
  const inputs = [query, key, value, ...(offset ? [offset] : [])].map((input) => input.node)
  const node = createNode(attentionOp, inputs, { causal, scale, offset: offset !== undefined })
  return new Tensor(outputOf(node, 0))
}
