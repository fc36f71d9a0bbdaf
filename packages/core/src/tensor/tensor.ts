import { ShapeError, TesseraError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { gelu } from '../graph/compounds/gelu.ts'
import { logSoftmax, softmax } from '../graph/compounds/softmax.ts'
import { type DType, isFloat, type TypedArray } from '../graph/format.ts'
import * as movement from '../graph/movement.ts'
import { createNode, formatSpec, type Node } from '../graph/node.ts'
import type { BinaryName, UnaryName } from '../graph/operations.ts'
import { matrixProduct } from '../graph/products.ts'
import { type Axes, argExtremum, meanOver, reduceAxes, varianceOver } from '../graph/reductions.ts'
import { normalizeAxis, type Shape, sizeOf } from '../graph/shape.ts'
import { readNode, realizeNodes } from '../run/evaluate.ts'
import { disposeLeaf } from '../run/storage.ts'

export type TensorLike = Tensor | number
/** Axes to reduce (all when left out) and whether they stay with extent 1. */
export interface ReduceOptions {
  readonly keepDims?: boolean
}

/**
 * A handle on a value that may not have been computed yet. Ops record what to compute; `await tensor.data()` runs it. Tensors
 * are immutable and never consumed by ops.
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * const x = tensor([1, 2, 3])
 * console.log(await x.multiply(x).sum().item()) // 14
 * ```
 */
export class Tensor {
  #node: Node

  /** @internal Use `tensor()`, `zeros()` and so on. */
  constructor(node: Node) {
    this.#node = node
  }

  /** The graph node that this handle stands for. */
  get node(): Node {
    return this.#node
  }

  /** @internal Puts another node of the same value or a traced argument behind the handle. */
  replaceNode(node: Node): void {
    this.#node = node
  }

  get shape(): Shape {
    return this.#node.shape
  }

  get dtype(): DType {
    return this.#node.dtype
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape)
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length
  }

  /** Computes the value, if needed, and copies it to the host in row-major order. */
  async data(): Promise<TypedArray> {
    const { node, data } = await readNode(this.#node)
    this.#node = node
    return data
  }

  /** The value of a tensor with one element. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: ${formatSpec(this)} has ${this.size} elements, not 1. Use data().`)
    return (await this.data())[0]!
  }

  /** Computes the value and keeps it on the device. */
  realize(): this {
    this.#node = realizeNodes([this.#node])[0]!
    return this
  }

  /** Frees the memory now instead of when the garbage collector finds it unused. */
  dispose(): void {
    if (this.#node.op === 'leaf') disposeLeaf(this.#node)
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    return `Tensor ${formatSpec(this)}`
  }

  /** Guards against `await tensor` and numbers made of tensors by mistake. */
  valueOf(): never {
    throw new TesseraError('NOT_A_NUMBER', `${this} is not a number yet. Use await tensor.item().`)
  }

  add(other: TensorLike): Tensor {
    return binary('add', this, other)
  }
  subtract(other: TensorLike): Tensor {
    return binary('subtract', this, other)
  }
  multiply(other: TensorLike): Tensor {
    return binary('multiply', this, other)
  }
  /** True division: integers give f32. */
  divide(other: TensorLike): Tensor {
    return new Tensor(build.divide(this.#node, operand(other)))
  }
  /** Division rounded towards zero, of integers or floats. */
  divideTruncated(other: TensorLike): Tensor {
    const quotient = build.binary('divide', this.#node, operand(other))
    const integer = quotient.dtype.startsWith('i') || quotient.dtype.startsWith('u')
    return new Tensor(
      integer
        ? quotient
        : build.multiply(build.unary('sign', quotient), build.unary('floor', build.unary('absolute', quotient))),
    )
  }
  /** C's `fmod`: the sign of the dividend. */
  remainder(other: TensorLike): Tensor {
    return binary('remainder', this, other)
  }
  power(exponent: TensorLike): Tensor {
    return exponent === 2 ? this.square() : binary('power', this, exponent)
  }
  minimum(other: TensorLike): Tensor {
    return binary('minimum', this, other)
  }
  maximum(other: TensorLike): Tensor {
    return binary('maximum', this, other)
  }
  equal(other: TensorLike): Tensor {
    return binary('equal', this, other)
  }
  notEqual(other: TensorLike): Tensor {
    return binary('notEqual', this, other)
  }
  less(other: TensorLike): Tensor {
    return binary('less', this, other)
  }
  lessEqual(other: TensorLike): Tensor {
    return binary('lessEqual', this, other)
  }
  greater(other: TensorLike): Tensor {
    return new Tensor(build.binary('less', operand(other), this.#node))
  }
  greaterEqual(other: TensorLike): Tensor {
    return new Tensor(build.binary('lessEqual', operand(other), this.#node))
  }
  /** Logical on bool, bitwise on integers. */
  and(other: TensorLike): Tensor {
    return binary('and', this, other)
  }
  or(other: TensorLike): Tensor {
    return binary('or', this, other)
  }
  xor(other: TensorLike): Tensor {
    return binary('xor', this, other)
  }
  shiftLeft(bits: TensorLike): Tensor {
    return binary('shiftLeft', this, bits)
  }
  shiftRight(bits: TensorLike): Tensor {
    return binary('shiftRight', this, bits)
  }

  /** True for NaN; integers have none. */
  isNaN(): Tensor {
    return binary('notEqual', this, this)
  }
  isFinite(): Tensor {
    return isFloat(this.dtype) ? this.abs().less(Number.POSITIVE_INFINITY) : this.equal(this)
  }
  isInfinite(): Tensor {
    return isFloat(this.dtype) ? this.abs().equal(Number.POSITIVE_INFINITY) : this.notEqual(this)
  }

  not(): Tensor {
    return unary('not', this)
  }
  negate(): Tensor {
    return unary('negate', this)
  }
  abs(): Tensor {
    return unary('absolute', this)
  }
  sign(): Tensor {
    return unary('sign', this)
  }
  floor(): Tensor {
    return unary('floor', this)
  }
  ceil(): Tensor {
    return unary('ceil', this)
  }
  /** Half to even. */
  round(): Tensor {
    return unary('round', this)
  }
  sqrt(): Tensor {
    return unary('squareRoot', this)
  }
  square(): Tensor {
    return new Tensor(build.square(this.#node))
  }
  reciprocal(): Tensor {
    return unary('reciprocal', this)
  }
  exp(): Tensor {
    return unary('exp', this)
  }
  expm1(): Tensor {
    return unary('expm1', this)
  }
  log(): Tensor {
    return unary('log', this)
  }
  log1p(): Tensor {
    return unary('log1p', this)
  }
  sin(): Tensor {
    return unary('sin', this)
  }
  cos(): Tensor {
    return unary('cos', this)
  }
  tanh(): Tensor {
    return unary('tanh', this)
  }
  erf(): Tensor {
    return unary('erf', this)
  }
  sigmoid(): Tensor {
    // (1 + tanh(x / 2)) / 2 does not overflow.
    return this.multiply(0.5).tanh().multiply(0.5).add(0.5)
  }
  relu(): Tensor {
    return new Tensor(build.where(build.binary('less', 0, this.#node), this.#node, 0))
  }
  gelu(approximation: 'none' | 'tanh' | 'sigmoid' = 'none'): Tensor {
    return new Tensor(createNode(gelu, [this.#node], { approximation }))
  }

  sum(axes?: Axes, options?: ReduceOptions): Tensor {
    return new Tensor(reduceAxes('reduceSum', this.#node, axes, options?.keepDims))
  }
  product(axes?: Axes, options?: ReduceOptions): Tensor {
    return new Tensor(reduceAxes('reduceProduct', this.#node, axes, options?.keepDims))
  }
  max(axes?: Axes, options?: ReduceOptions): Tensor {
    return new Tensor(reduceAxes('reduceMaximum', this.#node, axes, options?.keepDims))
  }
  min(axes?: Axes, options?: ReduceOptions): Tensor {
    return new Tensor(reduceAxes('reduceMinimum', this.#node, axes, options?.keepDims))
  }
  mean(axes?: Axes, options?: ReduceOptions): Tensor {
    return new Tensor(meanOver(this.#node, axes, options?.keepDims))
  }
  /** Population variance: the mean of the squared distance from the mean. */
  variance(axes?: Axes, options?: ReduceOptions): Tensor {
    return new Tensor(varianceOver(this.#node, axes, options?.keepDims))
  }
  /** Index (i32) of the largest element along an axis; the first where several are. */
  argMax(axis = -1): Tensor {
    return new Tensor(argExtremum('reduceMaximum', this.#node, axis))
  }
  argMin(axis = -1): Tensor {
    return new Tensor(argExtremum('reduceMinimum', this.#node, axis))
  }
  softmax(axis = -1): Tensor {
    return new Tensor(movement.alongLast('softmax', this.#node, axis, (x) => createNode(softmax, [x], {})))
  }
  logSoftmax(axis = -1): Tensor {
    return new Tensor(movement.alongLast('logSoftmax', this.#node, axis, (x) => createNode(logSoftmax, [x], {})))
  }

  cast(dtype: DType): Tensor {
    return new Tensor(build.cast(this.#node, dtype))
  }
  bitcast(dtype: DType): Tensor {
    return new Tensor(build.bitcast(this.#node, dtype))
  }
  /** One extent may be −1. */
  reshape(shape: Shape): Tensor {
    return new Tensor(build.reshape(this.#node, shape))
  }
  /** Axes from `first` on become one. */
  flatten(first = 0): Tensor {
    return this.reshape([...this.shape.slice(0, first), sizeOf(this.shape.slice(first))])
  }
  /** Axis `i` of the result is axis `axes[i]`; without axes, the last two are swapped. */
  transpose(axes?: readonly number[]): Tensor {
    if (!axes && this.rank < 2) throw new ShapeError(`transpose: ${formatSpec(this)} has fewer than two axes.`)
    return new Tensor(
      axes
        ? build.permute(
            this.#node,
            axes.map((axis) => normalizeAxis('transpose', axis, this.rank)),
          )
        : build.transposeLast(this.#node),
    )
  }
  /** NumPy's broadcasting to a shape. */
  expand(shape: Shape): Tensor {
    return new Tensor(build.broadcastTo(this.#node, shape))
  }
  /** Adds an axis of extent 1. */
  unsqueeze(axis: number): Tensor {
    return new Tensor(movement.unsqueeze(this.#node, axis))
  }
  /** Removes axes of extent 1: the given ones, or all. */
  squeeze(axes?: Axes): Tensor {
    return new Tensor(movement.squeeze(this.#node, axes))
  }
  /** Elements `start` (included) to `end` (excluded) of an axis; negative positions count from its end. */
  slice(axis: number, start: number, end?: number, step = 1): Tensor {
    return new Tensor(movement.sliceAxis(this.#node, axis, start, end, step))
  }
  /** Element `index` of an axis, which is removed. */
  select(axis: number, index: number): Tensor {
    return new Tensor(movement.selectIndex(this.#node, axis, index))
  }
  /** Reverses the order along axes: the given ones, or all. */
  flip(axes?: Axes): Tensor {
    return new Tensor(movement.flip(this.#node, axes))
  }
  /** Adds `[low, high]` elements of `value` before and after each axis. */
  pad(amounts: readonly (readonly [number, number])[], value = 0): Tensor {
    return new Tensor(
      build.pad(
        this.#node,
        amounts.map(([low]) => low),
        amounts.map(([, high]) => high),
        value,
      ),
    )
  }
  /** Parts of equal extent, or of the given extents. */
  split(parts: number | readonly number[], axis = -1): Tensor[] {
    return movement.split(this.#node, parts, axis).map((part) => new Tensor(part))
  }
  /** `this` with `axis` replaced by the axes of `indices`, which are clamped into range. */
  gather(indices: Tensor, axis = 0): Tensor {
    return new Tensor(build.gather(this.#node, indices.node, normalizeAxis('gather', axis, this.rank)))
  }
  /** A copy with `updates` added at positions of an axis; positions out of range are ignored. */
  scatterAdd(indices: Tensor, updates: Tensor, axis = 0): Tensor {
    return new Tensor(
      build.scatter(this.#node, indices.node, updates.node, normalizeAxis('scatterAdd', axis, this.rank), 'add'),
    )
  }
  /** A copy with `updates` set at positions of an axis; of several at one position the last counts. */
  scatterSet(indices: Tensor, updates: Tensor, axis = 0): Tensor {
    return new Tensor(
      build.scatter(this.#node, indices.node, updates.node, normalizeAxis('scatterSet', axis, this.rank), 'set'),
    )
  }
  /** Matrix product of the last two axes; earlier axes broadcast; a vector counts as a row (left) or column (right). */
  matmul(other: Tensor): Tensor {
    return new Tensor(matrixProduct(this.#node, other.node))
  }
  /** The value, with no gradient. */
  stopGradient(): Tensor {
    return new Tensor(build.stopGradient(this.#node))
  }
}

export function operand(value: TensorLike): Node | number {
  return typeof value === 'number' ? value : value.node
}

function binary(op: BinaryName, a: Tensor, b: TensorLike): Tensor {
  return new Tensor(build.binary(op, a.node, operand(b)))
}

function unary(op: UnaryName, x: Tensor): Tensor {
  return new Tensor(build.unary(op, x.node))
}
