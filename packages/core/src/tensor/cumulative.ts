import { type CumulativeOperation, cumulative as cumulativeOp } from '../graph/compounds/cumulative.ts'
import { alongLast } from '../graph/movement.ts'
import { createNode } from '../graph/node.ts'
import { normalizeAxis } from '../graph/shape.ts'
import { logAddExp } from './elementwise.ts'
import { concatenate } from './movement.ts'
import { floating } from './operands.ts'
import { Tensor } from './tensor.ts'

export interface CumulativeOptions {
  /** From the end backwards. */
  readonly reverse?: boolean
}

function cumulative(
  operation: CumulativeOperation,
  x: Tensor,
  axis: number,
  { reverse = false }: CumulativeOptions = {},
): Tensor {
  const numbers = x.dtype === 'bool' ? x.cast('i32') : x
  return new Tensor(
    alongLast('cumulative', numbers.node, axis, (node) => createNode(cumulativeOp, [node], { operation, reverse })),
  )
}

/**
 * Sums of the elements up to each one of an axis. bool is counted (i32).
 *
 * @example
 * ```ts
 * import { cumulativeSum, tensor } from '@tessera/core'
 * console.log(await cumulativeSum(tensor([1, 2, 3])).data()) // 1, 3, 6
 * ```
 */
export function cumulativeSum(x: Tensor, axis = -1, options?: CumulativeOptions): Tensor {
  return cumulative('sum', x, axis, options)
}

/** Products of the elements up to each one. */
export function cumulativeProduct(x: Tensor, axis = -1, options?: CumulativeOptions): Tensor {
  return cumulative('product', x, axis, options)
}

/** The largest element so far. */
export function cumulativeMaximum(x: Tensor, axis = -1, options?: CumulativeOptions): Tensor {
  return cumulative('maximum', x, axis, options)
}

/** The smallest element so far. */
export function cumulativeMinimum(x: Tensor, axis = -1, options?: CumulativeOptions): Tensor {
  return cumulative('minimum', x, axis, options)
}

/** log Σ eˣ of the elements up to each one, without overflow. By doubling (Hillis & Steele 1986): each round joins twice as many. */
export function cumulativeLogSumExp(x: Tensor, axis = -1): Tensor {
  const at = normalizeAxis('cumulativeLogSumExp', axis, x.rank)
  const extent = x.shape[at]!
  let result = floating(x)
  for (let reach = 1; reach < extent; reach *= 2) {
    const joined = logAddExp(result.slice(at, reach), result.slice(at, 0, extent - reach))
    result = concatenate([result.slice(at, 0, reach), joined], at)
  }
  return result
}
