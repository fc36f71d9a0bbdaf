import { logSumExp, type Tensor } from '@tessera/core'
import type { Constant } from '../format/tensor.ts'
import type { Call, Operator } from '../graph/call.ts'

type Reduction = (x: Tensor, axes: readonly number[], options: { keepDims: boolean }) => Tensor

/** A reduction whose axes are an attribute, or an input in later opsets; no axes at all mean all, unless the attribute says none. */
const reduction =
  (apply: Reduction, fold?: (a: number, b: number) => number): Operator =>
  (call) => {
    const { shape } = call.value(0)
    const keepDims = call.integer('keepdims', 1) === 1
    const given = call.axes(1, shape.length)
    if (!given?.length && call.integer('noop_with_empty_axes', 0) === 1) return call.tensor(0)
    const axes = given?.length ? given : shape.map((_, axis) => axis)
    const { constant } = call.value(0)
    // Extents multiplied or added up.
    if (constant && fold && shape.length <= 1 && axes.length === shape.length && constant.type.dtype === 'i32') {
      return folded(constant, keepDims ? shape.map(() => 1) : [], fold)
    }
    return apply(call.tensor(0), axes, { keepDims })
  }

function folded({ type, data }: Constant, shape: readonly number[], fold: (a: number, b: number) => number): Constant {
  return { type, shape, data: [Array.from(data).reduce(fold)] }
}

function argument(call: Call, pick: (x: Tensor, axis: number) => Tensor): Tensor {
  const x = call.tensor(0)
  const given = call.integer('axis', 0)
  const axis = given < 0 ? given + x.rank : given
  // The last of equal elements is the first one of the reverse.
  const isLast = call.integer('select_last_index', 0) === 1
  const found = isLast
    ? pick(x.flip(axis), axis)
        .negate()
        .add(x.shape[axis]! - 1)
    : pick(x, axis)
  return call.integer('keepdims', 1) === 1 ? found.unsqueeze(axis) : found
}

/** Reductions, by their names in ONNX. */
export const reductions: Readonly<Record<string, Operator>> = {
  ArgMax: (call) => argument(call, (x, axis) => x.argMax(axis)),
  ArgMin: (call) => argument(call, (x, axis) => x.argMin(axis)),
  ReduceL1: reduction((x, axes, options) => x.abs().sum(axes, options)),
  ReduceL2: reduction((x, axes, options) => x.square().sum(axes, options).sqrt()),
  ReduceLogSum: reduction((x, axes, options) => x.sum(axes, options).log()),
  ReduceLogSumExp: reduction((x, axes, options) => logSumExp(x, axes, options)),
  ReduceMax: reduction((x, axes, options) => x.max(axes, options), Math.max),
  ReduceMean: reduction((x, axes, options) => x.mean(axes, options)),
  ReduceMin: reduction((x, axes, options) => x.min(axes, options), Math.min),
  ReduceProd: reduction(
    (x, axes, options) => x.product(axes, options),
    (a, b) => a * b,
  ),
  ReduceSum: reduction(
    (x, axes, options) => x.sum(axes, options),
    (a, b) => a + b,
  ),
  ReduceSumSquare: reduction((x, axes, options) => x.square().sum(axes, options)),
}
