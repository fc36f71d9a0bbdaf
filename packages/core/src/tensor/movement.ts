import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { type DType, promote } from '../graph/format.ts'
import { normalizeAxis } from '../graph/shape.ts'
import { evaluateNodes } from '../run/evaluate.ts'
import { Tensor } from './tensor.ts'

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

/** A copy in memory of its own, which no jit function takes over. */
export function copy(x: Tensor): Tensor {
  return new Tensor(evaluateNodes([x.node])[0]!)
}
