import {
  type FormatPolicy,
  type FormatPolicyOptions,
  formatPolicy,
  full,
  type RoundedPlace,
  stack,
  type Tensor,
  type TensorFormat,
  where,
} from '@tessera/core'
import { floatFormat } from './rounding-formats.ts'

/** Numbers of a tensor's state. */
const slots = ['uses', 'flushed', 'overflows', 'unusable'] as const

/** What rounding to a floating-point format did to one tensor. */
export interface FloatReport extends RoundedPlace {
  readonly uses: number
  /** Mean share of the elements that were not zero and became zero. */
  readonly flushed: number
  /** Uses in which a finite number became infinite. */
  readonly overflows: number
  /** Uses in which the tensor held NaN or infinities before. */
  readonly unusable: number
}

export interface FloatPolicy extends FormatPolicy {
  /** One entry for each tensor that is rounded, for each function in turn. */
  report(): Promise<FloatReport[][]>
}

/**
 * Trains in half precision or bfloat16, and counts what is lost: numbers that become zero because they are too small, and overflows. The counts
 * come out of the loops that round. `formatPolicy(floatFormat(name))` is the same without counts.
 *
 * @example
 * ```ts
 * import { jit, tensor, type Tensor } from '@tessera/core'
 * import { floatPolicy } from '@tessera/numerics-flexpoint'
 * const policy = floatPolicy('f16')
 * const product = jit((a: Tensor, b: Tensor) => a.matmul(b), { policy })
 * await product(tensor([[1e-4, 1]]), tensor([[1e-4, 0], [0, 1]])).data()
 * const [places] = await policy.report()
 * // 1e-4 squared is below half of f16's smallest number, 2^−24: one of two elements of the product.
 * console.log(places!.map(({ op, flushed }) => `${op} ${flushed}`)) // ['leaf 0', 'leaf 0', 'matmul 0.5']
 * ```
 */
export function floatPolicy(name: 'f16' | 'bf16', options: FormatPolicyOptions = {}): FloatPolicy {
  const policy = formatPolicy(counting(floatFormat(name)), options)
  const stateSize = slots.length
  return {
    ...policy,
    get groups() {
      return policy.groups
    },
    report: () =>
      Promise.all(
        policy.groups.map(async ({ places, states }) => {
          const data = states ? await states.data() : undefined
          return places.map((place): FloatReport => {
            const value = (slot: (typeof slots)[number]) => data?.[place.index * stateSize + slots.indexOf(slot)] ?? 0
            const uses = value('uses')
            return {
              ...place,
              uses,
              flushed: uses > 0 ? value('flushed') / uses : 0,
              overflows: value('overflows'),
              unusable: value('unusable'),
            }
          })
        }),
      ),
  }
}

/** The statistic is the share that was flushed, 2 more when a number overflowed, and NaN when one was not finite before. */
function counting(format: TensorFormat): TensorFormat {
  return {
    ...format,
    stateSize: slots.length,
    initialize: () => full([slots.length], 0),
    round: (x) => {
      const { value, stored } = format.round(x)
      const isFlushed = value.equal(0).and(x.equal(0).not())
      // x − x is 0 for finite numbers and NaN for others.
      const isOverflow = value.subtract(value).equal(0).not()
      const flushed = overRows(isFlushed.cast('f32'), 'sum').multiply(1 / x.size)
      const lost = overRows(isOverflow.cast('f32'), 'max').multiply(2)
      const check = overRows(x.subtract(x), 'max').cast('f32')
      return { value, ...(stored && { stored }), statistic: flushed.add(lost).add(check) }
    },
    update: (states, statistics) => {
      const isUsed = statistics.equal(-1).not()
      const isUnusable = statistics.equal(statistics).not()
      const isCounted = isUsed.and(isUnusable.not())
      const overflowed = statistics.greaterEqual(2)
      const counts = [
        isUsed,
        where(isCounted, where(overflowed, statistics.subtract(2), statistics), 0),
        isCounted.and(overflowed),
        isUsed.and(isUnusable),
      ]
      return states.add(
        stack(
          counts.map((count) => count.cast('f32')),
          1,
        ),
      )
    },
  }
}

/** First along the rows, in the loop that rounds, then the few numbers that are left. */
function overRows(x: Tensor, reduction: 'sum' | 'max'): Tensor {
  const rows = x.rank > 0 ? x[reduction](-1) : x
  return rows.rank > 0 ? rows[reduction]() : rows
}
