import { ShapeError } from '../errors.ts'
import { type DType, promote } from './format.ts'
import { createNode, formatSpec, type Node } from './node.ts'
import type { BinaryName, ReduceName, UnaryName } from './operations.ts'
import { floatFormat, primitives } from './primitives.ts'
import { broadcastShapes, formatShape, normalizeAxes, type Shape, sameShape, sizeOf } from './shape.ts'

/**
 * Functions that make nodes: what lowering, gradients and the tensor API are written in. They broadcast and promote as the
 * API does and skip ops that would change nothing.
 */

const none = {}
const floatUnary: ReadonlySet<UnaryName> = new Set([
  'squareRoot',
  'reciprocal',
  'exp',
  'log',
  'log1p',
  'expm1',
  'sin',
  'cos',
  'tanh',
  'erf',
])
const roundings: ReadonlySet<UnaryName> = new Set(['floor', 'ceil', 'round'])

export function leaf(shape: Shape, dtype: DType): Node<'leaf'> {
  return createNode(primitives.leaf, [], { shape, dtype })
}

export function constant(value: number, dtype: DType = 'f32'): Node {
  return createNode(primitives.constant, [], { value, dtype })
}

export function iota(length: number, dtype: DType = 'i32'): Node {
  return createNode(primitives.iota, [], { length, dtype })
}

export function full(shape: Shape, value: number, dtype: DType = 'f32'): Node {
  return broadcastTo(constant(value, dtype), shape)
}

export const zerosLike = (x: Node): Node => full(x.shape, 0, x.dtype)
export const onesLike = (x: Node): Node => full(x.shape, 1, x.dtype)

/** A number as a tensor of `like`'s format; a fraction beside integers makes f32. */
export function lift(value: Node | number, like: Node): Node {
  if (typeof value !== 'number') return value
  const fits = like.dtype !== 'bool' && (Number.isInteger(value) || floatFormat(like.dtype) === like.dtype)
  return constant(value, fits ? like.dtype : Number.isInteger(value) ? 'i32' : 'f32')
}

export function unary(op: UnaryName, x: Node): Node {
  if (roundings.has(op) && floatFormat(x.dtype) !== x.dtype) return x
  const operand = floatUnary.has(op) ? cast(x, floatFormat(x.dtype)) : x
  return createNode(primitives[op], [operand], none)
}

/** Applies a binary op with NumPy's broadcasting; formats are promoted, divisions of integers become f32 through `divide`. */
export function binary(op: BinaryName, a: Node | number, b: Node | number): Node {
  if (typeof a === 'number' && typeof b === 'number') return binary(op, constant(a), constant(b))
  const left = lift(a, b as Node)
  const right = lift(b, left)
  const shape = broadcastShapes(op, left.shape, right.shape)
  const dtype = op === 'power' ? floatFormat(promote(left.dtype, right.dtype)) : promote(left.dtype, right.dtype)
  return createNode(
    primitives[op],
    [broadcastTo(cast(left, dtype), shape), broadcastTo(cast(right, dtype), shape)],
    none,
  )
}

export const add = (a: Node | number, b: Node | number): Node => binary('add', a, b)
export const subtract = (a: Node | number, b: Node | number): Node => binary('subtract', a, b)
export const multiply = (a: Node | number, b: Node | number): Node => binary('multiply', a, b)
/** True division: integers become f32 first. */
export function divide(a: Node | number, b: Node | number): Node {
  const asFloat = (x: Node | number) => (typeof x === 'number' ? x : cast(x, floatFormat(x.dtype)))
  return binary('divide', asFloat(a), asFloat(b))
}
export const negate = (x: Node): Node => unary('negate', x)
export const exp = (x: Node): Node => unary('exp', x)
export const log = (x: Node): Node => unary('log', x)
export const tanh = (x: Node): Node => unary('tanh', x)
export const squareRoot = (x: Node): Node => unary('squareRoot', x)
export const reciprocal = (x: Node): Node => unary('reciprocal', x)
export const square = (x: Node): Node => multiply(x, x)

export function where(condition: Node, a: Node | number, b: Node | number): Node {
  const left = typeof a === 'number' ? (typeof b === 'number' ? constant(a) : lift(a, b)) : a
  const right = lift(b, left)
  const dtype = promote(left.dtype, right.dtype)
  const shape = broadcastShapes('where', condition.shape, broadcastShapes('where', left.shape, right.shape))
  const test = condition.dtype === 'bool' ? condition : binary('notEqual', condition, 0)
  return createNode(
    primitives.where,
    [broadcastTo(test, shape), broadcastTo(cast(left, dtype), shape), broadcastTo(cast(right, dtype), shape)],
    none,
  )
}

export function cast(x: Node, dtype: DType): Node {
  return x.dtype === dtype ? x : createNode(primitives.cast, [x], { dtype })
}

export function bitcast(x: Node, dtype: DType): Node {
  return x.dtype === dtype ? x : createNode(primitives.bitcast, [x], { dtype })
}

/** One extent may be −1: it is what is left. */
export function reshape(x: Node, shape: Shape): Node {
  const unknown = shape.indexOf(-1)
  let extents = shape
  if (unknown >= 0) {
    const known = shape.reduce((product, extent, axis) => (axis === unknown ? product : product * extent), 1)
    const rest = known === 0 ? 0 : sizeOf(x.shape) / known
    if (!Number.isInteger(rest) || shape.indexOf(-1, unknown + 1) >= 0) {
      throw new ShapeError(
        `reshape: ${formatShape(x.shape)} does not fit ${formatShape(shape)}: ${sizeOf(x.shape)} elements over ${known}.`,
      )
    }
    extents = shape.map((extent, axis) => (axis === unknown ? rest : extent))
  }
  if (sameShape(x.shape, extents)) return x
  return createNode(primitives.reshape, [x.op === 'reshape' ? x.inputs[0]! : x], { shape: extents })
}

export function permute(x: Node, axes: readonly number[]): Node {
  if (axes.length === x.shape.length && axes.every((axis, i) => axis === i)) return x
  return createNode(primitives.permute, [x], { axes })
}

/** Swaps the last two axes. */
export function transposeLast(x: Node): Node {
  const rank = x.shape.length
  return permute(x, [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2])
}

/** NumPy's broadcasting of one tensor to a shape: axes are added in front, axes of extent 1 repeated. */
export function broadcastTo(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x
  const added = shape.length - x.shape.length
  if (added < 0) throw new ShapeError(`broadcast: ${formatSpec(x)} has more axes than ${formatShape(shape)}.`)
  const aligned = reshape(x, [...new Array<number>(added).fill(1), ...x.shape])
  return sameShape(aligned.shape, shape) ? aligned : createNode(primitives.broadcast, [aligned], { shape })
}

/** Sums what broadcasting repeated: the gradient of `broadcastTo`. */
export function sumTo(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x
  const added = x.shape.length - shape.length
  const axes: number[] = []
  for (let axis = 0; axis < x.shape.length; axis++) {
    if (axis < added || (shape[axis - added] === 1 && x.shape[axis] !== 1)) axes.push(axis)
  }
  return reshape(reduce('reduceSum', x, axes), shape)
}

/** Reduced axes stay with extent 1. */
export function reduce(op: ReduceName, x: Node, axes?: number | readonly number[]): Node {
  const list = normalizeAxes(op, axes, x.shape.length)
  const operand = x.dtype === 'bool' ? cast(x, 'i32') : x
  return list.length === 0 ? operand : createNode(primitives[op], [operand], { axes: list })
}

export const sum = (x: Node, axes?: number | readonly number[]): Node => reduce('reduceSum', x, axes)
export const maximumOf = (x: Node, axes?: number | readonly number[]): Node => reduce('reduceMaximum', x, axes)

/** Mean over axes, kept with extent 1. */
export function mean(x: Node, axes?: number | readonly number[]): Node {
  const total = sum(cast(x, floatFormat(x.dtype)), axes)
  return multiply(total, sizeOf(total.shape) / sizeOf(x.shape))
}

export function slice(x: Node, starts: readonly number[], shape: Shape, steps?: readonly number[]): Node {
  const by = steps ?? starts.map(() => 1)
  if (sameShape(x.shape, shape) && by.every((step) => step === 1)) return x
  return createNode(primitives.slice, [x], { starts, shape, steps: by })
}

export function pad(x: Node, low: readonly number[], high: readonly number[], value = 0): Node {
  if (low.every((count) => count === 0) && high.every((count) => count === 0)) return x
  return createNode(primitives.pad, [x], { low, high, value })
}

export function concatenate(parts: readonly Node[], axis: number): Node {
  return parts.length === 1 ? parts[0]! : createNode(primitives.concatenate, parts, { axis })
}

export function matmul(a: Node, b: Node): Node {
  return createNode(primitives.matmul, [a, b], none)
}

export function gather(source: Node, indices: Node, axis: number): Node {
  return createNode(primitives.gather, [source, indices], { axis })
}

export function scatter(base: Node, indices: Node, updates: Node, axis: number, mode: 'add' | 'set'): Node {
  return createNode(primitives.scatter, [base, indices, updates], { axis, mode })
}

export function stopGradient(x: Node): Node {
  return createNode(primitives.stopGradient, [x], none)
}

/** `x`, to be computed from after `after`, and apart from what is computed from `x` through other barriers. */
export function barrier(x: Node, after: readonly Node[] = [], number?: number): Node {
  return createNode(primitives.barrier, [x, ...after], number === undefined ? none : { number })
}

/** Another node of the same value, which gradients and batching tell apart from it; compilation drops it. */
export function alias(x: Node): Node {
  return createNode(primitives.permute, [x], { axes: x.shape.map((_, axis) => axis) })
}

/** Output `index` of a node with several outputs. */
export function outputOf(node: Node, index: number): Node {
  if (node.outputs.length === 1) return node
  const spec = node.outputs[index]
  if (!spec) throw new ShapeError(`output: ${node.op} has ${node.outputs.length} outputs, not ${index + 1}.`)
  return createNode({ ...primitives.output, shape: () => [spec] }, [node], { index })
}

/** Position of each element in row-major order, as `dtype`. */
export function linearIndex(shape: Shape, dtype: DType = 'i32'): Node {
  return reshape(iota(sizeOf(shape), dtype), shape)
}

/** Index along one axis, broadcast over a shape. */
export function axisIndex(shape: Shape, axis: number, dtype: DType = 'i32'): Node {
  const unit = shape.map((extent, i) => (i === axis ? extent : 1))
  return broadcastTo(reshape(iota(shape[axis]!, dtype), unit), shape)
}
