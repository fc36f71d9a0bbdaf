import {
  applyOp,
  concatenate,
  defineOp,
  full,
  type OpDefinition,
  range,
  ShapeError,
  type Tensor,
  type TensorSpec,
  where,
  zeros,
} from '@tessera/core'
import { checkPattern } from './patterns/check.ts'
import type { SparsePattern } from './patterns/pattern.ts'
import { type MaskAlgebra, visible } from './patterns/visible.ts'

/** Attributes of the package's ops. */
export interface SparseAttentionAttributes {
  /** One pattern for all heads, or one for each head of a cycle. */
  readonly patterns: readonly SparsePattern[]
  readonly scale: number
}

declare module '@tessera/core' {
  interface OpAttributes {
    /**
     * Inputs `query`, `key`, `value`, each `[..., heads, length, width]` (values may be of another width). Gives the mixed values and, for each
     * query, the logarithm of its sum of exponentials `[..., heads, length]`.
     */
    sparseAttention: SparseAttentionAttributes
    /**
     * The gradients of `query`, `key` and `value`. Inputs as of `sparseAttention`, then its second output, then Σ gradient · output of each
     * query, then the gradient of the first output.
     */
    sparseAttentionBackward: SparseAttentionAttributes
    /** As `sparseAttention`, for queries that stand at a position (i32 scalar, the fourth input) among the keys; gives the mixed values only. */
    sparseAttentionCached: SparseAttentionAttributes
  }
}

const operandText = 'query and key [..., heads, length, width] and value [..., heads, length, values]'

function requireOperands(
  op: string,
  inputs: readonly TensorSpec[],
  { patterns }: SparseAttentionAttributes,
  cached: boolean,
): void {
  const [query, key, value] = inputs as [TensorSpec, TensorSpec, TensorSpec]
  const same = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((x, i) => x === b[i])
  const fits =
    inputs.length >= 3 &&
    query.shape.length >= 3 &&
    same(query.shape.slice(0, -2), key.shape.slice(0, -2)) &&
    same(key.shape.slice(0, -1), value.shape.slice(0, -1)) &&
    query.shape.at(-1) === key.shape.at(-1) &&
    (cached || query.shape.at(-2) === key.shape.at(-2)) &&
    query.dtype === key.dtype &&
    key.dtype === value.dtype
  if (!fits) {
    const got = inputs.map(({ dtype, shape }) => `${dtype}[${shape.join(', ')}]`).join(', ')
    throw new ShapeError(`${op}: takes ${operandText} of one format, got ${got}.`)
  }
  const heads = query.shape.at(-3)!
  if (patterns.length === 0 || heads % patterns.length !== 0) {
    throw new ShapeError(
      `${op}: ${heads} heads do not divide among ${patterns.length} patterns. Give one pattern, or one for each head of a cycle.`,
    )
  }
  for (const pattern of patterns) checkPattern(pattern, key.shape.at(-2)!)
}

const tensorAlgebra: MaskAlgebra<Tensor, Tensor> = {
  subtract: (a, b) => a.subtract(b),
  remainder: (a, b) => a.remainder(b),
  quotient: (a, b) => a.divideTruncated(b),
  atMost: (a, b) => a.lessEqual(b),
  atLeast: (a, b) => a.greaterEqual(b),
  equal: (a, b) => a.equal(b),
  and: (a, b) => a.and(b),
  or: (a, b) => a.or(b),
  lookUp: (mask, a, b) => {
    // Lines that are alike are one row of the table.
    const distinct = [...new Set(mask)]
    const cells = concatenate(distinct.flatMap((line) => [...line].map((cell) => full([1], Number(cell), 'i32'))))
    const places = concatenate(mask.map((line) => full([1], distinct.indexOf(line), 'i32')))
    return cells.gather(places.gather(a, 0).multiply(mask.length).add(b), 0).greaterEqual(1)
  },
}

/** Masks `[heads, queries, keys]`, or with one head if all have the same pattern. */
function maskOf({ patterns }: SparseAttentionAttributes, heads: number, rows: Tensor, keys: number): Tensor {
  const columns = range(keys)
  const masks = patterns.map((pattern) => {
    const [i, j] = [rows.reshape([rows.size, 1]), columns.reshape([1, keys])]
    const shape = [rows.size, keys]
    return visible(pattern, i.expand(shape), j.expand(shape), tensorAlgebra).reshape([1, ...shape])
  })
  const cycle = concatenate(masks, 0)
  return patterns.length === 1 ? cycle : cycle.gather(range(heads).remainder(patterns.length), 0)
}

/** Scores of all pairs, as they are where no kernel takes the op. */
function scoresOf(query: Tensor, key: Tensor, rows: Tensor, attributes: SparseAttentionAttributes): Tensor {
  const shape = [...query.shape.slice(0, -1), key.shape.at(-2)!]
  const count = shape.reduce((product, extent) => product * extent, 1)
  if (count >= 2 ** 31)
    throw new ShapeError(
      `sparseAttention: no kernel of this runtime takes it, so that it is dense attention with a mask, and scores [${shape.join(', ')}] are ` +
        `${count} elements; at most 2147483647 are possible. Add sparseAttentionWasm() to the runtime, or take shorter sequences.`,
    )
  const scores = query.matmul(key.transpose()).multiply(attributes.scale)
  const mask = maskOf(attributes, query.shape.at(-3)!, rows, key.shape.at(-2)!)
  return where(mask.expand(scores.shape), scores, full([], Number.NEGATIVE_INFINITY, scores.dtype))
}

/** Sparse attention: softmax(query · keyᵀ · scale) · value over the keys that each query's pattern lets it see. */
export const sparseAttentionOp: OpDefinition<'sparseAttention'> = defineOp({
  op: 'sparseAttention',
  shape: (inputs, attributes) => {
    requireOperands('sparseAttention', inputs, attributes, false)
    const [query, , value] = inputs as [TensorSpec, TensorSpec, TensorSpec]
    const rows = query.shape.slice(0, -1)
    return [
      { shape: [...rows, value.shape.at(-1)!], dtype: query.dtype },
      { shape: rows, dtype: query.dtype },
    ]
  },
  lower: ([query, key, value], attributes) => {
    const scores = scoresOf(query!, key!, range(query!.shape.at(-2)!), attributes)
    const largest = scores.max(-1, { keepDims: true })
    const logarithm = scores.subtract(largest).exp().sum(-1).log().add(largest.squeeze(-1))
    return [scores.softmax().matmul(value!), logarithm]
  },
  vjp: ({ inputs, attributes, outputs: [mixed, logarithm], gradients: [gradient, ofLogarithm] }) => {
    const toMixed = gradient ?? zeros(mixed!.shape, mixed!.dtype)
    const product = toMixed.multiply(mixed!).sum(-1)
    const projection = ofLogarithm ? product.subtract(ofLogarithm) : product
    return applyOp(sparseAttentionBackwardOp, [...inputs, logarithm!, projection, toMixed], attributes)
  },
})

/** The gradients of sparse attention. */
export const sparseAttentionBackwardOp: OpDefinition<'sparseAttentionBackward'> = defineOp({
  op: 'sparseAttentionBackward',
  shape: (inputs, attributes) => {
    requireOperands('sparseAttentionBackward', inputs, attributes, false)
    return inputs.slice(0, 3).map(({ shape, dtype }) => ({ shape, dtype }))
  },
  lower: ([query, key, value, , projection, gradient], attributes) => {
    const weights = scoresOf(query!, key!, range(query!.shape.at(-2)!), attributes).softmax()
    const toWeights = gradient!.matmul(value!.transpose())
    const slopes = weights.multiply(toWeights.subtract(projection!.unsqueeze(-1))).multiply(attributes.scale)
    return [slopes.matmul(key!), slopes.transpose().matmul(query!), weights.transpose().matmul(gradient!)]
  },
})

/** Sparse attention of queries at a position, over a cache of keys. */
export const sparseAttentionCachedOp: OpDefinition<'sparseAttentionCached'> = defineOp({
  op: 'sparseAttentionCached',
  shape: (inputs, attributes) => {
    requireOperands('sparseAttention', inputs, attributes, true)
    const [query, , value, position] = inputs as [TensorSpec, TensorSpec, TensorSpec, TensorSpec]
    if (position?.dtype !== 'i32' || position.shape.length !== 0)
      throw new ShapeError(
        `sparseAttention: the offset must be an i32 scalar, got ${position ? `${position.dtype}[${position.shape.join(', ')}]` : 'nothing'}.`,
      )
    return [{ shape: [...query.shape.slice(0, -1), value.shape.at(-1)!], dtype: query.dtype }]
  },
  lower: ([query, key, value, position], attributes) => {
    const rows = range(query!.shape.at(-2)!).add(position!)
    return [scoresOf(query!, key!, rows, attributes).softmax().matmul(value!)]
  },
})

export interface SparseAttentionOptions {
  /** Factor of the scores; 1/√width by default. */
  readonly scale?: number
  /** Position of the first query among the keys (i32 scalar), for decoding with a cache of keys and values. */
  readonly offset?: Tensor
}

/**
 * Attention in which each query sees the keys of a pattern only (Child et al. 2019). With the kernels of `sparseAttentionWasm` time and memory
 * grow with the number of keys seen; elsewhere it is dense attention with a mask.
 *
 * @param query `[..., heads, length, width]`
 * @param key `[..., heads, length, width]`
 * @param value `[..., heads, length, values]`
 * @param pattern for all heads, or a list that heads take in turn
 * @returns `[..., heads, length, values]`
 * @throws TesseraError `SPARSE_PATTERN` for a pattern that does not fit the length; ShapeError for operands that do not fit
 *
 * @example
 * ```ts
 * import { randomKey, randomNormal } from '@tessera/core'
 * import { sparseAttention, strided } from '@tessera/kernel-sparse-attention'
 * const x = randomNormal(randomKey(1), [2, 64, 8]) // [heads, length, width]
 * console.log(sparseAttention(x, x, x, strided(8)).shape) // [2, 64, 8]
 * ```
 */
export function sparseAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  pattern: SparsePattern | readonly SparsePattern[],
  options: SparseAttentionOptions = {},
): Tensor {
  const { scale = 1 / Math.sqrt(query.shape.at(-1) ?? 1), offset } = options
  const patterns = Array.isArray(pattern) ? (pattern as readonly SparsePattern[]) : [pattern as SparsePattern]
  const [mixed] = offset
    ? applyOp(sparseAttentionCachedOp, [query, key, value, offset], { patterns, scale })
    : applyOp(sparseAttentionOp, [query, key, value], { patterns, scale })
  return mixed!
}
