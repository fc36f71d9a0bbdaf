import type { Local } from '../assembler/index.ts'
import { f32x4, f64x2, i32x4, i64x2, v128 } from '../assembler/index.ts'
import type { MathContext, Vector } from './context.ts'
import { keep, selectLanes } from './context.ts'
import { splitFloat } from './logarithm.ts'

/** log2(m) = s · p(s²) with s = (m − 1) / (m + 1), relative error 2^−45. */
const log2Coefficients = [
  2.88539008177785, 0.9617966941133017, 0.5770779423776929, 0.412209250947488, 0.319905760604839, 0.282899186595978,
]
/** 2^r for |r| ≤ ½, relative error 2^−34. */
const exp2Coefficients = [
  1, 0.6931471807045455, 0.2402265106651466, 0.05550410365953125, 0.009618038137292083, 0.001333393509528958,
  0.0001546676491162549, 0.000015196145764826043,
]
/** Adding 1.5 · 2^52 rounds a 64-bit float to an integer in its low bits. */
export const roundingShift64 = 6755399441055744

function polynomial64(context: MathContext, x: Vector, coefficients: readonly number[]): Vector {
  let sum: Vector = context.double(coefficients.at(-1) ?? 0)
  for (const coefficient of coefficients.slice(0, -1).reverse()) {
    sum = f64x2.add(f64x2.mul(sum, x), context.double(coefficient))
  }
  return sum
}

/** Two lanes of |base|^exponent in 64 bits, from the parts of the base; rounded to 32 bits, in the low half of a vector. */
function powerOfTwoLanes(context: MathContext, mantissa: Vector, baseExponent: Vector, exponent: Vector): Vector {
  const one = context.double(1)
  const m = keep(context, f64x2.promoteLowF32x4(mantissa))
  const s = keep(context, f64x2.div(f64x2.sub(m, one), f64x2.add(m, one)))
  const square = keep(context, f64x2.mul(s, s))
  const fraction = f64x2.mul(s, polynomial64(context, square, log2Coefficients))
  const log2 = f64x2.add(f64x2.convertLowI32x4S(baseExponent), fraction)
  // Results beyond 2^±200 round to 0 or ∞ all the same. pmin and pmax keep a NaN in their first operand.
  const product = f64x2.mul(f64x2.promoteLowF32x4(exponent), log2)
  const e = keep(context, f64x2.pmax(f64x2.pmin(product, context.double(200)), context.double(-200)))
  const shifted = keep(context, f64x2.add(e, context.double(roundingShift64)))
  const rest = keep(context, f64x2.sub(e, f64x2.sub(shifted, context.double(roundingShift64))))
  const value = polynomial64(context, rest, exp2Coefficients)
  return f32x4.demoteF64x2Zero(i64x2.add(value, i64x2.shl(shifted, 52)))
}

/**
 * base^exponent with the special values of IEEE 754 `pow`: x^0 = 1^y = 1 even for NaN, negative bases with integer exponents have the sign of
 * their parity, with others give NaN, (±0)^y and (±∞)^y are 0 or ∞. Computed in 64 bits: at most 0.6 ulp, subnormal results included.
 */
export function pow(context: MathContext, base: Local<'v128'>, exponent: Local<'v128'>): Vector {
  const high: [number, number, number, number] = [2, 3, 2, 3]
  const infinity = context.float(Number.POSITIVE_INFINITY)
  const zero = context.float(0)
  const one = context.float(1)
  const magnitude = keep(context, f32x4.abs(base))
  const split = splitFloat(context, magnitude)
  const lowHalf = powerOfTwoLanes(context, split.mantissa, split.exponent, exponent)
  const highHalf = powerOfTwoLanes(
    context,
    v128.shuffle32(split.mantissa, split.mantissa, high),
    v128.shuffle32(split.exponent, split.exponent, high),
    v128.shuffle32(exponent, exponent, high),
  )
  const finite = v128.shuffle32(lowHalf, highHalf, [0, 1, 4, 5])
  // 0 and ∞ to a power are ∞ if just one of "the base is ∞" and "the exponent is negative" holds, else 0.
  const isInfinite = keep(context, f32x4.eq(magnitude, infinity))
  const isExtreme = v128.or(isInfinite, f32x4.eq(base, zero))
  const extreme = v128.and(infinity, v128.xor(isInfinite, f32x4.lt(exponent, zero)))
  const unsigned = selectLanes(context, extreme, finite, isExtreme)
  // |base| = 1 gives 1 for infinite exponents as well.
  const positive = selectLanes(context, one, unsigned, v128.and(f32x4.eq(magnitude, one), f32x4.eq(exponent, exponent)))
  // Floats from 2^24 on are even; conversion saturates there, and 2^31 − 1 would be odd.
  const isInteger = keep(context, f32x4.eq(f32x4.floor(exponent), exponent))
  const isSmall = f32x4.lt(f32x4.abs(exponent), context.float(2 ** 24))
  const parity = i32x4.shl(i32x4.truncSatF32x4S(exponent), 31)
  const oddSign = v128.and(v128.and(parity, isInteger), v128.and(isSmall, base))
  const signed = v128.xor(positive, oddSign)
  // A NaN for NaN operands and for roots of negative numbers other than −∞; all ones are a NaN.
  const isRoot = v128.andnot(v128.andnot(f32x4.lt(base, zero), isInteger), isInfinite)
  const isNan = v128.or(v128.or(f32x4.ne(base, base), f32x4.ne(exponent, exponent)), isRoot)
  return selectLanes(context, one, v128.or(signed, isNan), v128.or(f32x4.eq(exponent, zero), f32x4.eq(base, one)))
}
