import { ShapeError } from '../../errors.ts'
import type { BatchContext, OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  axisIndex,
  binary,
  broadcastTo,
  exp,
  log,
  matmul,
  maximumOf,
  multiply,
  outputOf,
  reshape,
  subtract,
  sum,
  transposeLast,
  where,
  zerosLike,
} from '../build.ts'
import { isFloat } from '../format.ts'
import { createNode, formatSpec, type Node, type TensorSpec } from '../node.ts'
import { sameShape } from '../shape.ts'
import { softmax } from './softmax.ts'

/** Attributes of the ops in this file. */
export interface AttentionAttributes {
  /**
   * Inputs `query [..., Tq, D]`, `key [..., Tk, D]`, `value [..., Tk, E]`, and, where `offset` says so, the position of the first query
   * (i32 scalar). Causal: query `i` sees keys `j ≤ i + offset`, without an offset `j ≤ i + Tk − Tq`. Gives the mixed values `[..., Tq, E]` and
   * the logarithm of each query's sum of exponentials `[..., Tq]`, from which a kernel can compute the weights again.
   */
  attention: Attention
  /**
   * The gradients of `query`, `key` and `value`. Inputs as of `attention`, then its second output, then for each query
   * Σ gradient · output `[..., Tq]` (less the gradient of the second output), then the gradient of the first output `[..., Tq, E]`.
   */
  attentionBackward: Attention
}

interface Attention {
  readonly causal: boolean
  readonly scale: number
  readonly offset: boolean
}

/** Softmax(query · keyᵀ · scale, masked) · value: Vaswani et al. 2017, section 3.2.1. */
export const attention: OpDefinition<'attention'> = {
  op: 'attention',
  shape: (inputs, { offset }) => {
    requireAttention('attention', inputs.slice(0, 3), inputs.slice(3), offset)
    const [query, , value] = inputs as [TensorSpec, TensorSpec, TensorSpec]
    const rows = query.shape.slice(0, -1)
    return [
      { shape: [...rows, value.shape.at(-1)!], dtype: query.dtype },
      { shape: rows, dtype: query.dtype },
    ]
  },
  lower: ([query, key, value, position], attributes) => {
    const scores = maskedScores(query!, key!, position, attributes)
    const last = scores.shape.length - 1
    const largest = maximumOf(scores, last)
    const total = log(sum(exp(subtract(scores, largest)), last))
    const weights = createNode(softmax, [scores], {})
    return [matmul(weights, value!), reshape(add(total, largest), query!.shape.slice(0, -1))]
  },
  vjp: ({ inputs, attributes, outputs: [mixed, logarithm], cotangents: [gradient, ofLogarithm] }) => {
    const toMixed = gradient ?? zerosLike(mixed!)
    const product = reshape(sum(multiply(toMixed, mixed!), mixed!.shape.length - 1), logarithm!.shape)
    const projection = ofLogarithm ? subtract(product, ofLogarithm) : product
    const backward = createNode(attentionBackward, [...inputs, logarithm!, projection, toMixed], attributes)
    return [0, 1, 2].map((index) => outputOf(backward, index))
  },
  batch: (context) => oneMoreAxis(attention, context),
}

/** The backward pass of Dao et al. 2022, algorithm 4, which keeps no matrix of weights. */
export const attentionBackward: OpDefinition<'attentionBackward'> = {
  op: 'attentionBackward',
  shape: (inputs, { offset }) => {
    const [query, key, value] = inputs
    const count = offset ? 4 : 3
    const [logarithm, projection, gradient] = inputs.slice(count)
    requireAttention('attentionBackward', inputs.slice(0, 3), inputs.slice(3, count), offset)
    const rows = query!.shape.slice(0, -1)
    const fits =
      inputs.length === count + 3 &&
      sameShape(logarithm!.shape, rows) &&
      sameShape(projection!.shape, rows) &&
      sameShape(gradient!.shape, [...rows, value!.shape.at(-1)!]) &&
      [logarithm, projection, gradient].every((input) => input!.dtype === query!.dtype)
    if (!fits) {
      throw new ShapeError(
        `attentionBackward: takes, after the inputs of attention, [..., Tq], [..., Tq] and [..., Tq, E], got ${inputs.map(formatSpec).join(', ')}.`,
      )
    }
    return [query!, key!, value!].map(({ shape, dtype }) => ({ shape, dtype }))
  },
  // The weights are written as in the forward pass: where neither is a kernel's, they are one subgraph, computed once.
  lower: (inputs, attributes) => {
    const [query, key, value] = inputs as [Node, Node, Node]
    const position = attributes.offset ? inputs[3] : undefined
    const [projection, gradient] = inputs.slice(-2) as [Node, Node]
    const weights = createNode(softmax, [maskedScores(query, key, position, attributes)], {})
    const toWeights = matmul(gradient, transposeLast(value))
    const toScores = multiply(
      multiply(weights, subtract(toWeights, reshape(projection, [...projection.shape, 1]))),
      attributes.scale,
    )
    return [matmul(toScores, key), matmul(transposeLast(toScores), query), matmul(transposeLast(weights), gradient)]
  },
  batch: (context) => oneMoreAxis(attentionBackward, context),
}

/** The batch is one more leading axis, unless each example has a position of its own. */
function oneMoreAxis<Op extends 'attention' | 'attentionBackward'>(
  definition: OpDefinition<Op>,
  { inputs, attributes, batched, spread }: BatchContext<Op>,
): readonly Node[] | undefined {
  const position = attributes.offset ? 3 : -1
  if (batched[position]) return undefined
  const operands = inputs.map((input, i) => (i === position ? input : spread(i)))
  const node = createNode(definition, operands, attributes)
  return node.outputs.map((_, i) => outputOf(node, i))
}

function requireAttention(
  op: string,
  [query, key, value]: readonly TensorSpec[],
  positions: readonly TensorSpec[],
  offset: boolean,
): void {
  const fits =
    positions.length === (offset ? 1 : 0) &&
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
    positions.every(({ shape, dtype }) => dtype === 'i32' && shape.length === 0)
  if (!fits) {
    const got = [query, key, value, ...positions].flatMap((input) => (input ? [formatSpec(input)] : []))
    throw new ShapeError(
      `${op}: takes query [..., Tq, D], key [..., Tk, D], value [..., Tk, E]${offset ? ' and an i32 scalar offset' : ''}, got ${got.join(', ')}.`,
    )
  }
}

function maskedScores(query: Node, key: Node, position: Node | undefined, { causal, scale }: Attention): Node {
  const scores = multiply(matmul(query, transposeLast(key)), scale)
  return causal ? maskFuture(scores, position) : scores
}

/** −∞ where key `j` lies after query `i`. */
function maskFuture(scores: Node, position: Node | undefined): Node {
  const queries = scores.shape.at(-2)!
  const keys = scores.shape.at(-1)!
  const row = add(axisIndex([queries, keys], 0), position ?? keys - queries)
  const visible = binary('lessEqual', axisIndex([queries, keys], 1), row)
  return where(broadcastTo(visible, scores.shape), scores, Number.NEGATIVE_INFINITY)
}
