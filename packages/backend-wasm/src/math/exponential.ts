import type { Local } from '../assembler/index.ts'
import { f32x4, i32x4, v128 } from '../assembler/index.ts'
import type { MathContext, Vector } from './context.ts'
import { keep, multiplyAdd, multiplySubtract, polynomial, selectLanes } from './context.ts'

// Coefficients are minimax fits (Remez) for the relative error of the function on the reduced range.

/** Adding 1.5 · 2^23 rounds a float to an integer, which then stands in the low bits of the sum. */
export const roundingShift = 12582912
/** ln 2 as a sum whose first part has 9 bits, so that multiplying it by an exponent is exact. */
export const ln2High = 0.693359375
export const ln2Low = -2.12194440054e-4
const largestInput = 88.72283172607422
const smallestInput = -87.33654022216797

/** x = n · unit + rest: gives n + `roundingShift`, whose low bits hold n, and n. */
function roundMultiple(context: MathContext, x: Vector, perUnit: number) {
  const shifted = keep(context, multiplyAdd(context, x, context.float(perUnit), context.float(roundingShift)))
  const n = keep(context, f32x4.sub(shifted, context.float(roundingShift)))
  return { shifted, n }
}

/** x = n ln 2 + rest, |rest| ≤ ln 2 / 2. */
function reduceByLn2(context: MathContext, x: Local<'v128'>) {
  const { shifted, n } = roundMultiple(context, x, Math.LOG2E)
  const high = multiplySubtract(context, n, context.float(ln2High), x)
  const rest = keep(context, multiplySubtract(context, n, context.float(ln2Low), high))
  return { shifted, rest }
}

/** Multiplies values near 1 by 2^n through their exponent bits, and puts in what lies outside the range of normal floats. */
function scale(
  context: MathContext,
  value: Vector,
  shifted: Vector,
  x: Local<'v128'>,
  least: number,
  most: number,
): Vector {
  const scaled = i32x4.add(value, i32x4.shl(shifted, 23))
  const flushed = v128.andnot(scaled, f32x4.lt(x, context.float(least)))
  // x · ∞ is ∞ above the range and NaN for NaN.
  const beyond = f32x4.mul(x, context.float(Number.POSITIVE_INFINITY))
  return selectLanes(context, flushed, beyond, f32x4.le(x, context.float(most)))
}

/**
 * e^x. Results below the smallest normal float (x < −87.3365) are 0. At most 1.3 ulp.
 */
export function exp(context: MathContext, x: Local<'v128'>): Vector {
  const { shifted, rest } = reduceByLn2(context, x)
  const value = polynomial(
    context,
    rest,
    [1, 1, 0.499999934512, 0.166665206209, 0.0416683872908, 0.00836871773657, 0.00138146379777],
  )
  return scale(context, value, shifted, x, smallestInput, largestInput)
}

/** 2^x. Results below the smallest normal float (x < −126) are 0. At most 1.3 ulp. */
export function exp2(context: MathContext, x: Local<'v128'>): Vector {
  const { shifted, n } = roundMultiple(context, x, 1)
  const rest = keep(context, f32x4.sub(x, n))
  const value = polynomial(
    context,
    rest,
    [1, 0.693147202852, 0.240226479136, 0.0555033247368, 0.00961843734458, 0.00133988736817, 0.000153533667608],
  )
  return scale(context, value, shifted, x, -126, 127.99999237060547)
}

/** Parts of e^x − 1 = 2^n · small + 2^n − 1, with small = e^rest − 1 and n in the low bits of `shifted`; for |x| ≤ 88.7. */
export function expm1Parts(context: MathContext, x: Local<'v128'>): { small: Vector; shifted: Local<'v128'> } {
  const { shifted, rest } = reduceByLn2(context, x)
  const square = keep(context, f32x4.mul(rest, rest))
  const tail = polynomial(
    context,
    rest,
    [0.500000005305, 0.166666669018, 0.0416663270007, 0.00833322018314, 0.00139432078517, 0.000199620613177],
  )
  return { small: multiplyAdd(context, square, tail, rest), shifted }
}

/** e^x − 1, also for x near 0. At most 2 ulp. */
export function expm1(context: MathContext, x: Local<'v128'>): Vector {
  // Below −30 the result is −1; the bound keeps the scale in range. pmax(a, b) = a < b ? b : a keeps a NaN in its first operand.
  const bounded = keep(context, f32x4.pmax(x, context.float(-30)))
  const { small, shifted } = expm1Parts(context, bounded)
  // Half of 2^n is finite for all n that occur.
  const half = keep(context, i32x4.add(i32x4.shl(shifted, 23), context.integer(126 << 23)))
  const sum = keep(context, multiplyAdd(context, half, small, f32x4.sub(half, context.float(0.5))))
  const signed = v128.or(f32x4.add(sum, sum), v128.and(x, context.integer(1 << 31)))
  const beyond = f32x4.mul(x, context.float(Number.POSITIVE_INFINITY))
  return selectLanes(context, signed, beyond, f32x4.le(x, context.float(largestInput)))
}
