import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { add, axisIndex, binary, broadcastTo, matmul, multiply, transposeLast, where } from '../build.ts'
import { isFloat } from '../format.ts'
import { createNode, formatSpec, type Node } from '../node.ts'
import { sameShape } from '../shape.ts'
import { softmax } from './softmax.ts'

/** Attributes of the ops in this file. */
export interface AttentionAttributes {
  /**
   * Inputs `query [..., Tq, D]`, `key [..., Tk, D]`, `value [..., Tk, E]`, and, where `offset` says so, the position of the first query
   * (i32 scalar). Causal: query `i` sees keys `j ≤ i + offset`, without an offset `j ≤ i + Tk − Tq`.
   */
  attention: { readonly causal: boolean; readonly scale: number; readonly offset: boolean }
}

/** Softmax(query · keyᵀ · scale, masked) · value: Vaswani et al. 2017, section 3.2.1. */
export const attention: OpDefinition<'attention'> = {
  op: 'attention',
  shape: (inputs, { offset }) => {
    const [query, key, value, position] = inputs
    const fits =
      inputs.length === (offset ? 4 : 3) &&
      query &&
      key &&
      value &&
      query.shape.length >= 2 &&
      key.shape.length === query.shape.length &&
      value.shape.length === query.shape.length &&
      sameShape(query.shape.slice(0, -2), key.shape.slice(0, -2)) &&
      sameShape(key.shape.slice(0, -1), value.shape.slice(0, -1)) &&
      query.shape.at(-1) === key.shape.at(-1) &&
      query.dtype === key.dtype &&
      key.dtype === value.dtype &&
      isFloat(query.dtype) &&
      (!position || (position.dtype === 'i32' && position.shape.length === 0))
    if (!fits) {
      throw new ShapeError(
        `attention: takes query [..., Tq, D], key [..., Tk, D], value [..., Tk, E]${offset ? ' and an i32 scalar offset' : ''}, got ` +
          `${inputs.map(formatSpec).join(', ')}.`,
      )
    }
    return [{ shape: [...query.shape.slice(0, -1), value.shape.at(-1)!], dtype: query.dtype }]
  },
  lower: ([query, key, value, position], { causal, scale }) => {
    const scores = multiply(matmul(query!, transposeLast(key!)), scale)
    const weights = createNode(softmax, [causal ? maskFuture(scores, position) : scores], {})
    return [matmul(weights, value!)]
  },
}

/** −∞ where key `j` lies after query `i`. */
function maskFuture(scores: Node, position: Node | undefined): Node {
  const queries = scores.shape.at(-2)!
  const keys = scores.shape.at(-1)!
  const row = add(axisIndex([queries, keys], 0), position ?? keys - queries)
  const visible = binary('lessEqual', axisIndex([queries, keys], 1), row)
  return where(broadcastTo(visible, scores.shape), scores, Number.NEGATIVE_INFINITY)
}
