import type { Local } from '../assembler/index.ts'
import { f32x4, f64x2, i32x4, v128 } from '../assembler/index.ts'
import type { MathContext, Vector } from './context.ts'
import { keep, multiplyAdd, polynomial, selectLanes } from './context.ts'
import { roundingShift64 } from './power.ts'

/** π/2 as a sum whose first part has 33 bits, so that multiplying it by an integer below 2^20 is exact in 64 bits. */
const halfPiHigh = 1.5707963267341256
const halfPiLow = 6.077100506506192e-11

/** Reduces two lanes in 64 bits: x = n · π/2 + rest with |rest| ≤ π/4, and n in the low 32 bits of `shifted`. */
function reduceTwoLanes(context: MathContext, lanes: Vector): { rest: Vector; shifted: Local<'v128'> } {
  const x = keep(context, f64x2.promoteLowF32x4(lanes))
  const shift = context.double(roundingShift64)
  const shifted = keep(context, f64x2.add(f64x2.mul(x, context.double(2 / Math.PI)), shift))
  const n = keep(context, f64x2.sub(shifted, shift))
  const coarse = f64x2.sub(x, f64x2.mul(n, context.double(halfPiHigh)))
  const rest = f64x2.sub(coarse, f64x2.mul(n, context.double(halfPiLow)))
  return { rest: f32x4.demoteF64x2Zero(rest), shifted }
}

/** sin(x + quarters · π/2) by reduction to [−π/4, π/4] (Cody and Waite). */
function shiftedSine(context: MathContext, x: Local<'v128'>, quarters: number): Vector {
  const low = reduceTwoLanes(context, x)
  const high = reduceTwoLanes(context, v128.shuffle32(x, x, [2, 3, 2, 3]))
  const reduced = v128.shuffle32(low.rest, high.rest, [0, 1, 4, 5])
  const n = v128.shuffle32(low.shifted, high.shifted, [0, 2, 4, 6])
  // Beyond 10^15 the reduction fails; the bounds keep results within [−1, 1]. They keep NaN.
  const bound = 0.7854
  const rest = keep(context, f32x4.pmax(f32x4.pmin(reduced, context.float(bound)), context.float(-bound)))
  const square = keep(context, f32x4.mul(rest, rest))
  const sineTail = polynomial(context, square, [-0.16666654461, 0.00833215117678, -0.000195139581824])
  const sine = multiplyAdd(context, f32x4.mul(rest, square), sineTail, rest)
  const cosineTail = polynomial(context, square, [-0.5, 0.0416666454205, -0.00138873032323, 2.4431642181e-5])
  const cosine = multiplyAdd(context, square, cosineTail, context.float(1))
  const quadrant = keep(context, quarters === 0 ? n : i32x4.add(n, context.integer(quarters)))
  // Bit 0 of the quadrant chooses the function, bit 1 the sign.
  const isCosine = i32x4.shrS(i32x4.shl(quadrant, 31), 31)
  const sign = v128.and(i32x4.shl(quadrant, 30), context.integer(1 << 31))
  return v128.xor(selectLanes(context, cosine, sine, isCosine), sign)
}

/** The sine; x in radians. At most 2 ulp for |x| ≤ 10^6; the error grows to about 10^−6 at 10^9. Infinities give NaN. */
export function sin(context: MathContext, x: Local<'v128'>): Vector {
  return shiftedSine(context, x, 0)
}

/** The cosine; x in radians. At most 2 ulp for |x| ≤ 10^6; the error grows to about 10^−6 at 10^9. Infinities give NaN. */
export function cos(context: MathContext, x: Local<'v128'>): Vector {
  return shiftedSine(context, x, 1)
}
