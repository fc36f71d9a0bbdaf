import type { Local } from '../assembler/index.ts'
import { f32x4, i32x4, v128 } from '../assembler/index.ts'
import type { MathContext, Vector } from './context.ts'
import { keep } from './context.ts'

/** The 16-bit float formats: f16 of IEEE 754, and bf16, the upper half of an f32. */
export type HalfFormat = 'f16' | 'bf16'

const signBit = 1 << 31

/** Floats from 16 bits that stand in the low half of each 32-bit lane, whose high half is 0. Exact. */
export function decodeHalf(context: MathContext, format: HalfFormat, bits: Vector): Vector {
  const aligned = i32x4.shl(bits, 16)
  return format === 'bf16' ? aligned : decodeF16(context, i32x4.shrS(aligned, 3))
}

/** The same where the high half of each lane repeats the sign, which saves a step. */
export function decodeSignedHalf(context: MathContext, format: HalfFormat, bits: Vector): Vector {
  return format === 'bf16' ? i32x4.shl(bits, 16) : decodeF16(context, i32x4.shl(bits, 13))
}

/** As `decodeSignedHalf`, of numbers that are neither infinite nor NaN. */
export function decodeFiniteHalf(context: MathContext, format: HalfFormat, bits: Vector): Vector {
  return format === 'bf16' ? i32x4.shl(bits, 16) : scaleF16(context, alignedF16(context, i32x4.shl(bits, 13)))
}

/** From lanes whose upper four bits are the sign, followed by exponent and fraction of an f16. */
function decodeF16(context: MathContext, lanes: Vector): Vector {
  const kept = keep(context, alignedF16(context, lanes))
  // Compared as integers: cores have fewer units that compare floats, and the product needs those.
  const beyond = i32x4.gtS(v128.andnot(kept, context.integer(signBit)), context.integer(0x0f7fffff))
  return v128.or(scaleF16(context, kept), v128.and(beyond, context.integer(0x7f800000)))
}

/** One bit of sign, exponent and fraction at their places in an f32. */
const alignedF16 = (context: MathContext, lanes: Vector): Vector => v128.and(lanes, context.integer(0x8fffe000 | 0))

/** The exponents differ by 112; the product brings subnormal numbers right as well. */
const scaleF16 = (context: MathContext, aligned: Vector): Vector => f32x4.mul(aligned, context.float(2 ** 112))

/** Floats rounded to the nearest number of the format, ties to even, as 16 bits in the low half of each lane. NaN stays NaN. */
export function encodeHalf(context: MathContext, format: HalfFormat, value: Vector): Vector {
  const x = keep(context, value)
  return format === 'bf16' ? encodeBf16(context, x) : encodeF16(context, x)
}

/** Floats that the format can hold. */
export function roundToHalf(context: MathContext, format: HalfFormat, value: Vector): Vector {
  return decodeHalf(context, format, encodeHalf(context, format, value))
}

function encodeBf16(context: MathContext, x: Local<'v128'>): Vector {
  const odd = v128.and(i32x4.shrU(x, 16), context.integer(1))
  const rounded = i32x4.shrU(i32x4.add(i32x4.add(x, context.integer(0x7fff)), odd), 16)
  // Rounding could carry a NaN over to infinity or zero.
  return v128.bitselect(context.integer(0x7fc0), rounded, f32x4.ne(x, x))
}

function encodeF16(context: MathContext, x: Local<'v128'>): Vector {
  const magnitude = keep(context, v128.andnot(x, context.integer(signBit)))
  // Added to ½, a number below 2^−14 has its last bit where the smallest f16 has it.
  const half = context.float(0.5)
  const subnormal = i32x4.sub(f32x4.add(magnitude, half), half)
  const odd = v128.and(i32x4.shrU(magnitude, 13), context.integer(1))
  const rebiased = i32x4.add(i32x4.add(magnitude, context.integer(0xfff - (112 << 23))), odd)
  const isSmall = i32x4.ltS(magnitude, context.integer(0x38800000))
  const finite = v128.bitselect(subnormal, i32x4.shrU(rebiased, 13), isSmall)
  const isLarge = i32x4.gtS(magnitude, context.integer(0x477fffff))
  const isNotNumber = i32x4.gtS(magnitude, context.integer(0x7f800000))
  const special = v128.bitselect(context.integer(0x7e00), context.integer(0x7c00), isNotNumber)
  const sign = i32x4.shrU(v128.and(x, context.integer(signBit)), 16)
  return v128.or(v128.bitselect(special, finite, isLarge), sign)
}
