import type { DType } from '../../graph/format.ts'
import { isFloat } from '../../graph/format.ts'
import type { ElementwiseName } from '../../graph/operations.ts'
import { type Scalar, scalarFunction } from './elementwise.ts'

/**
 * Computes `count` elements: `target[k] = op(a[k · aStride], …)`. A stride is 1, or 0 for a value that is the same for all.
 */
export type Loop = (
  target: Float64Array,
  count: number,
  a: Float64Array,
  aStride: number,
  b: Float64Array,
  bStride: number,
  c: Float64Array,
  cStride: number,
) => void

/**
 * The float ops that programs consist of mostly, as loops of their own: calling a function for each element would allocate
 * each result. They compute what `scalarFunction` says.
 */
const floatLoops: Partial<Record<ElementwiseName, Loop>> = {
  add: (target, count, a, aStride, b, bStride) => {
    for (let k = 0; k < count; k++) target[k] = a[k * aStride]! + b[k * bStride]!
  },
  subtract: (target, count, a, aStride, b, bStride) => {
    for (let k = 0; k < count; k++) target[k] = a[k * aStride]! - b[k * bStride]!
  },
  multiply: (target, count, a, aStride, b, bStride) => {
    for (let k = 0; k < count; k++) target[k] = a[k * aStride]! * b[k * bStride]!
  },
  divide: (target, count, a, aStride, b, bStride) => {
    for (let k = 0; k < count; k++) target[k] = a[k * aStride]! / b[k * bStride]!
  },
  maximum: (target, count, a, aStride, b, bStride) => {
    for (let k = 0; k < count; k++) target[k] = Math.max(a[k * aStride]!, b[k * bStride]!)
  },
  minimum: (target, count, a, aStride, b, bStride) => {
    for (let k = 0; k < count; k++) target[k] = Math.min(a[k * aStride]!, b[k * bStride]!)
  },
  negate: (target, count, a, aStride) => {
    for (let k = 0; k < count; k++) target[k] = -a[k * aStride]!
  },
  reciprocal: (target, count, a, aStride) => {
    for (let k = 0; k < count; k++) target[k] = 1 / a[k * aStride]!
  },
  squareRoot: (target, count, a, aStride) => {
    for (let k = 0; k < count; k++) target[k] = Math.sqrt(a[k * aStride]!)
  },
  exp: (target, count, a, aStride) => {
    for (let k = 0; k < count; k++) target[k] = Math.exp(a[k * aStride]!)
  },
  tanh: (target, count, a, aStride) => {
    for (let k = 0; k < count; k++) target[k] = Math.tanh(a[k * aStride]!)
  },
}

const where: Loop = (target, count, a, aStride, b, bStride, c, cStride) => {
  for (let k = 0; k < count; k++) target[k] = a[k * aStride] === 0 ? c[k * cStride]! : b[k * bStride]!
}

/** Any op by a call for each element. */
const byScalar =
  (apply: Scalar, arity: number): Loop =>
  (target, count, a, aStride, b, bStride) => {
    if (arity === 1) for (let k = 0; k < count; k++) target[k] = apply(a[k * aStride]!, 0)
    else for (let k = 0; k < count; k++) target[k] = apply(a[k * aStride]!, b[k * bStride]!)
  }

/** The loop of an elementwise op from operands of the given formats to a result of format `dtype`. */
export function elementwiseLoop(op: ElementwiseName, operands: readonly DType[], dtype: DType): Loop {
  if (op === 'where') return where
  const known = isFloat(dtype) ? floatLoops[op] : undefined
  return known ?? byScalar(scalarFunction(op, operands, dtype), operands.length)
}

/** Takes the elements of `source` into a running result: `total = combine(total, source[k · stride])`. */
export function accumulate(
  combine: Scalar,
  total: number,
  source: Float64Array,
  stride: number,
  count: number,
): number {
  let result = total
  for (let k = 0; k < count; k++) result = combine(result, source[k * stride]!)
  return result
}

/** `accumulate` for sums of floats. */
export function accumulateSum(total: number, source: Float64Array, stride: number, count: number): number {
  let result = total
  for (let k = 0; k < count; k++) result += source[k * stride]!
  return result
}
