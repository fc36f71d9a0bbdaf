import type { Local } from '../assembler/index.ts'
import { f32x4, i32x4, v128 } from '../assembler/index.ts'
import type { MathContext, Vector } from './context.ts'
import { keep, multiplyAdd, multiplySubtract, polynomial, selectLanes } from './context.ts'

// Coefficients are minimax fits (Remez) for the relative error of the function on the reduced range.

/** ln 2 as a sum whose first part has 9 bits, so that multiplying it by an exponent is exact. */
export const ln2High = 0.693359375
export const ln2Low = -2.12194440054e-4

/** Adding 1.5 · 2^23 rounds a float to an integer, which then stands in the low bits of the sum. */
const roundingShift = 12582912
const exponentBias = 127

/** x · perUnit rounded to an integer n, and 2^(n + shift) for −127 < n + shift ≤ 127 (0 for −127, ∞ for 128). */
function powerOfTwo(context: MathContext, x: Vector, perUnit: number, shift: number) {
  // The low bits of the sum are the exponent bits of the power.
  const sum = context.float(roundingShift + exponentBias + shift)
  const shifted = keep(context, multiplyAdd(context, x, context.float(perUnit), sum))
  return { n: keep(context, f32x4.sub(shifted, sum)), power: i32x4.shl(shifted, 23) }
}

/** x − n ln 2 */
function restByLn2(context: MathContext, x: Vector, n: Local<'v128'>): Local<'v128'> {
  const high = multiplySubtract(context, n, context.float(ln2High), x)
  return keep(context, multiplySubtract(context, n, context.float(ln2Low), high))
}

/** x between two bounds; NaN stays NaN, because pmin(a, b) = b < a ? b : a and pmax(a, b) = a < b ? b : a. */
function bounded(context: MathContext, x: Vector, low: number, high: number): Local<'v128'> {
  return keep(context, f32x4.pmax(f32x4.pmin(x, context.float(high)), context.float(low)))
}

/**
 * e^x. Results below 2^−125.5 (1.7 · 10^−38, x < −86.99) are 0. At most 1.3 ulp.
 */
export function exp(context: MathContext, x: Local<'v128'>): Vector {
  const inside = bounded(context, x, -87.3, 89)
  // With half the power of two and twice the polynomial, finite results do not overflow on the way.
  const { n, power } = powerOfTwo(context, inside, Math.LOG2E, -1)
  const rest = restByLn2(context, inside, n)
  const twice = [2, 2, 0.999999869024, 0.333330412418, 0.0833367745816, 0.01673743547314, 0.00276292759554]
  return f32x4.mul(polynomial(context, rest, twice), power)
}

/** 2^x. Results below 2^−125.5 are 0. At most 1.3 ulp. */
export function exp2(context: MathContext, x: Local<'v128'>): Vector {
  const inside = bounded(context, x, -126, 129)
  const { n, power } = powerOfTwo(context, inside, 1, -1)
  const rest = f32x4.sub(inside, n)
  const twice = [
    2, 1.386294405704, 0.480452958272, 0.1110066492524, 0.01923687468916, 0.00267977473634, 0.000307067335216,
  ]
  return f32x4.mul(polynomial(context, keep(context, rest), twice), power)
}

/** e^rest − 1 and 2^(n + shift) for x = n ln 2 + rest. */
export function expm1Parts(context: MathContext, x: Local<'v128'>, shift: number): { small: Vector; power: Vector } {
  const { n, power } = powerOfTwo(context, x, Math.LOG2E, shift)
  const rest = restByLn2(context, x, n)
  const square = keep(context, f32x4.mul(rest, rest))
  const tail = polynomial(
    context,
    rest,
    [0.500000005305, 0.166666669018, 0.0416663270007, 0.00833322018314, 0.00139432078517, 0.000199620613177],
  )
  return { small: multiplyAdd(context, square, tail, rest), power }
}

/** e^x − 1, also for x near 0. At most 2 ulp. */
export function expm1(context: MathContext, x: Local<'v128'>): Vector {
  // Below −30 the result is −1. Half of 2^n is finite up to the bound above.
  const largest = 88.72283172607422
  const { small, power } = expm1Parts(context, bounded(context, x, -30, largest), -1)
  const half = keep(context, power)
  const sum = keep(context, multiplyAdd(context, half, small, f32x4.sub(half, context.float(0.5))))
  const signed = v128.or(f32x4.add(sum, sum), v128.and(x, context.integer(1 << 31)))
  const beyond = f32x4.mul(x, context.float(Number.POSITIVE_INFINITY))
  return selectLanes(context, signed, beyond, f32x4.le(x, context.float(largest)))
}
