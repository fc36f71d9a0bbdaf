import type { Local } from '../assembler/index.ts'
import { f32x4, i32x4, v128 } from '../assembler/index.ts'
import type { MathContext, Vector } from './context.ts'
import { keep, multiplyAdd, multiplySubtract, polynomial, selectLanes } from './context.ts'
import { ln2High, ln2Low } from './exponential.ts'

const smallestNormal = 1.1754943508222875e-38

/** The bits of √½; exponents are counted from there, so that mantissas lie in [√½, √2). */
const rootHalfBits = 0x3f3504f3

/** x = mantissa · 2^exponent with the mantissa in [√½, √2), for positive finite x, subnormal ones too. The exponent is an integer vector. */
export function splitFloat(context: MathContext, x: Local<'v128'>) {
  const isSubnormal = keep(context, f32x4.lt(x, context.float(smallestNormal)))
  const scaled = f32x4.mul(x, context.float(2 ** 23))
  const normal = keep(context, selectLanes(context, scaled, x, isSubnormal))
  const steps = keep(context, i32x4.shrS(i32x4.sub(normal, context.integer(rootHalfBits)), 23))
  const mantissa = keep(context, i32x4.sub(normal, i32x4.shl(steps, 23)))
  const exponent = keep(context, i32x4.sub(steps, v128.and(isSubnormal, context.integer(23))))
  return { mantissa, exponent }
}

/** The logarithm of positive finite numbers; anything else gives garbage. */
function logOfPositive(context: MathContext, x: Local<'v128'>): Local<'v128'> {
  const { mantissa, exponent } = splitFloat(context, x)
  const n = keep(context, f32x4.convertI32x4S(exponent))
  const f = keep(context, f32x4.sub(mantissa, context.float(1)))
  const square = keep(context, f32x4.mul(f, f))
  // ln(1 + f) = f − f²/2 + f³ p(f), added from the smallest part to the largest.
  const p = polynomial(
    context,
    f,
    [
      0.3333333169, -0.25000820989, 0.200012267296, -0.166233588945, 0.142017743267, -0.131601891792, 0.127614330861,
      -0.0763427522447,
    ],
  )
  const cubic = f32x4.mul(f32x4.mul(f, square), p)
  const withLow = multiplyAdd(context, n, context.float(ln2Low), cubic)
  const withSquare = multiplySubtract(context, square, context.float(0.5), withLow)
  return keep(context, multiplyAdd(context, n, context.float(ln2High), f32x4.add(f, withSquare)))
}

/** Puts in the logarithms of 0 (−∞), negative numbers (NaN), ∞ and NaN. */
function withSpecialValues(context: MathContext, x: Local<'v128'>, result: Vector): Vector {
  const isBelowInfinity = f32x4.lt(x, context.float(Number.POSITIVE_INFINITY))
  const isNegative = f32x4.lt(x, context.float(0))
  const isZero = f32x4.eq(x, context.float(0))
  // All ones are a NaN.
  const numbers = v128.or(selectLanes(context, result, x, isBelowInfinity), isNegative)
  return selectLanes(context, context.float(Number.NEGATIVE_INFINITY), numbers, isZero)
}

/** The natural logarithm, of subnormal numbers too. At most 1 ulp. */
export function log(context: MathContext, x: Local<'v128'>): Vector {
  return withSpecialValues(context, x, logOfPositive(context, x))
}

/** ln(1 + x), also for x near 0. At most 2 ulp. */
export function log1p(context: MathContext, x: Local<'v128'>): Vector {
  const sum = keep(context, f32x4.add(x, context.float(1)))
  // What rounding lost of x, relative to the sum (Kahan).
  const lost = f32x4.sub(x, f32x4.sub(sum, context.float(1)))
  const result = f32x4.add(logOfPositive(context, sum), f32x4.div(lost, sum))
  const special = withSpecialValues(context, sum, result)
  // Keeps the sign of zero.
  return selectLanes(context, x, special, f32x4.eq(x, context.float(0)))
}
