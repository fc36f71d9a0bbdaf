import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { compounds } from '../graph/compounds/index.ts'
import { type DType, promote } from '../graph/format.ts'
import { createNode } from '../graph/node.ts'
import { normalizeAxis } from '../graph/shape.ts'
import { evaluateNodes } from '../run/evaluate.ts'
import { operand, Tensor, type TensorLike } from './tensor.ts'

/** Elements of `a` where the condition holds, of `b` elsewhere; all three broadcast. */
export function where(condition: Tensor, a: TensorLike, b: TensorLike): Tensor {
  return new Tensor(build.where(condition.node, operand(a), operand(b)))
}

export function matmul(a: Tensor, b: Tensor): Tensor {
  return a.matmul(b)
}

/** Joins tensors along an axis; formats are promoted. */
export function concatenate(parts: readonly Tensor[], axis = 0): Tensor {
  const first = parts[0]
  if (!first) throw new ShapeError('concatenate: takes at least one tensor, got none.')
  const dtype = parts.reduce<DType>((format, part) => promote(format, part.dtype), first.dtype)
  return new Tensor(
    build.concatenate(
      parts.map((part) => build.cast(part.node, dtype)),
      normalizeAxis('concatenate', axis, first.rank),
    ),
  )
}

/** Joins tensors of one shape along a new axis. */
export function stack(parts: readonly Tensor[], axis = 0): Tensor {
  return concatenate(
    parts.map((part) => part.unsqueeze(axis)),
    axis,
  )
}

/**
 * Standardises the last axis, then scales and shifts it: `(x − mean) / √(variance + epsilon) · gain + bias`.
 *
 * @param x `[..., channels]`
 * @param gain `[channels]`
 * @param bias `[channels]`, only with a gain
 */
export function layerNorm(x: Tensor, gain?: Tensor, bias?: Tensor, epsilon = 1e-5): Tensor {
  if (bias && !gain) throw new ShapeError('layerNorm: a bias needs a gain. Pass ones for the gain.')
  const affine = bias ? 'gain and bias' : gain ? 'gain' : 'none'
  const inputs = [x, gain, bias].flatMap((input) => (input ? [input.node] : []))
  return new Tensor(createNode(compounds.layerNorm, inputs, { epsilon, affine }))
}

/**
 * Loss of each target in nats: `−log softmax(logits)[target]`. A target out of range gives NaN.
 *
 * @param logits `[..., classes]`
 * @param targets `[...]`, i32 or u32
 */
export function crossEntropyLosses(logits: Tensor, targets: Tensor): Tensor {
  return new Tensor(createNode(compounds.crossEntropy, [logits.node, targets.node], {}))
}

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
  return new Tensor(createNode(compounds.attention, inputs, { causal, scale, offset: offset !== undefined }))
}

/** A copy in memory of its own, which no jit function takes over. */
export function copy(x: Tensor): Tensor {
  return new Tensor(evaluateNodes([x.node])[0]!)
}
