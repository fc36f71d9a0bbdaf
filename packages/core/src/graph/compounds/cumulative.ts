import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { axisIndex, binary, linearIndex, multiply, pad, reshape, scatter, slice, where, zerosLike } from '../build.ts'
import { type DType, formatOf, isFloat } from '../format.ts'
import { flip } from '../movement.ts'
import { createNode, formatSpec, type Node } from '../node.ts'
import type { ArithmeticName } from '../operations.ts'
import { sizeOf } from '../shape.ts'
import { lastAxis } from './rows.ts'

export type CumulativeOperation = 'sum' | 'product' | 'maximum' | 'minimum'

/** Attributes of the ops in this file. */
export interface CumulativeAttributes {
  /** Element `i` of the last axis combines elements 0 to `i`, or `i` to the last one where `reverse` says so. */
  cumulative: { readonly operation: CumulativeOperation; readonly reverse: boolean }
}

const combinations: Readonly<Record<CumulativeOperation, ArithmeticName>> = {
  sum: 'add',
  product: 'multiply',
  maximum: 'maximum',
  minimum: 'minimum',
}

/** The number that changes nothing. */
function neutral(operation: CumulativeOperation, dtype: DType): number {
  if (operation === 'sum') return 0
  if (operation === 'product') return 1
  const { kind, bits } = formatOf(dtype)
  const sign = operation === 'maximum' ? -1 : 1
  if (kind === 'float') return sign * Number.POSITIVE_INFINITY
  if (kind === 'signed') return sign < 0 ? -(2 ** (bits - 1)) : 2 ** (bits - 1) - 1
  return sign < 0 ? 0 : 2 ** bits - 1
}

/**
 * Steps of doubling width (Hillis & Steele, "Data parallel algorithms", 1986): after step k each element holds the last 2ᵏ ones. A kernel
 * goes through a row once.
 */
export const cumulative: OpDefinition<'cumulative'> = {
  op: 'cumulative',
  shape: ([x]) => {
    if (!x || x.shape.length === 0 || x.dtype === 'bool')
      throw new ShapeError(`cumulative: takes numbers with at least one axis, got ${x ? formatSpec(x) : 'nothing'}.`)
    return [{ shape: x.shape, dtype: x.dtype }]
  },
  lower: ([x], { operation, reverse }) => {
    const axis = lastAxis(x!)
    const extent = x!.shape[axis]!
    const only = (value: number) => x!.shape.map((_, i) => (i === axis ? value : 0))
    let result = x!
    for (let width = 1; width < extent; width *= 2) {
      const kept = slice(
        result,
        only(reverse ? width : 0),
        x!.shape.map((size, i) => (i === axis ? extent - width : size)),
      )
      const value = neutral(operation, x!.dtype)
      const moved = pad(kept, only(reverse ? 0 : width), only(reverse ? width : 0), value)
      result = binary(combinations[operation], result, moved)
    }
    return [result]
  },
  vjp: (context) => {
    const { inputs, outputs, cotangents, attributes } = context
    const [x, y, gradient] = [inputs[0]!, outputs[0]!, cotangents[0]!]
    if (!isFloat(x.dtype)) return [undefined]
    const { operation, reverse } = attributes
    if (operation === 'sum') return [createNode(cumulative, [gradient], { operation, reverse: !reverse })]
    if (operation === 'product') return [productGradient(x, gradient, reverse)]
    return [extremumGradient(x, y, gradient, reverse)]
  },
}

/** The gradient goes to the element that holds the extremum; of equal ones to the nearest. */
function extremumGradient(x: Node, y: Node, gradient: Node, reverse: boolean): Node {
  const axis = lastAxis(x)
  const extent = x.shape[axis]!
  const attained = binary('equal', x, y)
  const position = where(attained, axisIndex(x.shape, axis), reverse ? extent : -1)
  const holder = createNode(cumulative, [position], { operation: reverse ? 'minimum' : 'maximum', reverse })
  const rows = sizeOf(x.shape.slice(0, -1))
  const start = multiply(reshape(linearIndex([rows]), [...x.shape.slice(0, -1), 1]), extent)
  const flat = (node: Node) => reshape(node, [rows * extent])
  const target = binary('add', holder, start)
  return reshape(scatter(zerosLike(flat(x)), flat(target), flat(gradient), 0, 'add'), x.shape)
}

/** Σ over the products that hold an element, each without it. Nothing is divided, so zeros are as good as other numbers. */
function productGradient(x: Node, gradient: Node, reverse: boolean): Node {
  if (reverse) return flip(productGradient(flip(x, lastAxis(x)), flip(gradient, lastAxis(x)), false), lastAxis(x))
  const axis = lastAxis(x)
  const extent = x.shape[axis]!
  // g[i] = before[i] · s[i] with s[i] = gradient[i] + x[i + 1] · s[i + 1]: an affine recurrence from the end, in steps of doubling width.
  const shiftLeft = (node: Node, by: number, value: number) => {
    const starts = x.shape.map((_, i) => (i === axis ? by : 0))
    const kept = slice(
      node,
      starts,
      x.shape.map((size, i) => (i === axis ? extent - by : size)),
    )
    return pad(
      kept,
      x.shape.map(() => 0),
      starts,
      value,
    )
  }
  if (extent === 0) return x
  let factor = shiftLeft(x, 1, 0)
  let sum = gradient
  for (let width = 1; width < extent; width *= 2) {
    sum = binary('add', sum, multiply(factor, shiftLeft(sum, width, 0)))
    factor = multiply(factor, shiftLeft(factor, width, 0))
  }
  const products = createNode(cumulative, [x], { operation: 'product', reverse: false })
  const allButLast = slice(
    products,
    x.shape.map(() => 0),
    x.shape.map((size, i) => (i === axis ? extent - 1 : size)),
  )
  const before = pad(
    allButLast,
    x.shape.map((_, i) => (i === axis ? 1 : 0)),
    x.shape.map(() => 0),
    1,
  )
  return multiply(before, sum)
}
