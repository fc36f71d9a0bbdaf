import type { FunctionBuilder, FunctionHandle, Local, ModuleBuilder } from '../assembler/index.ts'
import { call, f32x4, f64, f64x2, i32, i32x4, v128 } from '../assembler/index.ts'
import type { FusedCode, Integer, Vector } from './code.ts'

type BinaryHelper = FunctionHandle<{ a: 'v128'; b: 'v128' }, 'v128'>

/** Calls a helper function of the module on two vectors. These operations are rare and long, so they are not put in line. */
function helper(
  code: FusedCode,
  name: string,
  a: Vector,
  b: Vector,
  define: (module: ModuleBuilder, name: string) => BinaryHelper,
): Vector {
  return call(
    code.environment.helper(name, () => define(code.module, name)),
    { a, b },
  )
}

/** Quotients truncated towards zero; 0 for a divisor of 0. */
export function divideIntegers(code: FusedCode, a: Vector, b: Vector, signed: boolean): Vector {
  return helper(code, signed ? 'divideSigned' : 'divideUnsigned', a, b, (module, name) =>
    module.function(name, { a: 'v128', b: 'v128' }, 'v128', (fn, { a, b }) => {
      const convert = signed ? f64x2.convertLowI32x4S : f64x2.convertLowI32x4U
      // Adding 1.5 · 2^52 leaves an integer below 2^51 in the low bits, negative ones as their two's complement.
      const magic = f64x2.splat(f64.const(1.5 * 2 ** 52))
      const half = (x: Vector, y: Vector) => f64x2.add(f64x2.trunc(f64x2.div(convert(x), convert(y))), magic)
      const high = (x: Vector) => v128.shuffle32(x, x, [2, 3, 2, 3])
      const quotients = v128.shuffle32(half(a, b), half(high(a), high(b)), [0, 2, 4, 6])
      const zero = v128.const(new Int32Array(4))
      fn.return(v128.andnot(quotients, i32x4.eq(b, zero)))
    }),
  )
}

/** What a division towards zero leaves; 0 for a divisor of 0. */
export function remainderIntegers(code: FusedCode, a: Vector, b: Vector, signed: boolean): Vector {
  const dividend = code.keep(a)
  const divisor = code.keep(b)
  const quotient = divideIntegers(code, dividend, divisor, signed)
  const rest = i32x4.sub(dividend, i32x4.mul(quotient, divisor))
  return v128.andnot(rest, i32x4.eq(divisor, code.integer(0)))
}

/**
 * The exact remainder of a division towards zero, with the sign of the dividend, as C's fmod. In float64, where a divisor of 24 bits
 * times a quotient of at most 28 bits is exact: large quotients are taken off in parts.
 */
export function remainderFloats(code: FusedCode, a: Vector, b: Vector): Vector {
  return helper(code, 'remainderFloats', a, b, (module, name) =>
    module.function(name, { a: 'v128', b: 'v128' }, 'v128', (fn, { a, b }) => {
      const low = fn.local('v128', 'low')
      const high = fn.local('v128', 'high')
      for (const [part, half] of [
        [low, (x: Vector) => x],
        [high, (x: Vector) => v128.shuffle32(x, x, [2, 3, 2, 3])],
      ] as const) {
        fn.scope(() => {
          const divisor = fn.local('v128', 'divisor', f64x2.abs(f64x2.promoteLowF32x4(half(b))))
          fn.set(part, f64x2.abs(f64x2.promoteLowF32x4(half(a))))
          emitReduction(fn, part, divisor)
        })
      }
      const magnitude = v128.shuffle32(f32x4.demoteF64x2Zero(low), f32x4.demoteF64x2Zero(high), [0, 1, 4, 5])
      const sign = v128.const(new Int32Array(4).fill(0x80000000))
      const result = fn.local('v128', 'result', v128.or(magnitude, v128.and(a, sign)))
      // Dividing by an infinite number leaves the dividend, unless it is infinite too.
      const infinite = f32x4.eq(f32x4.abs(b), v128.const(new Float32Array(4).fill(Number.POSITIVE_INFINITY)))
      const finite = f32x4.lt(f32x4.abs(a), v128.const(new Float32Array(4).fill(Number.POSITIVE_INFINITY)))
      fn.return(v128.bitselect(a, result, v128.and(infinite, finite)))
    }),
  )
}

/**
 * Takes multiples of the divisor off until less than the divisor is left; NaN for a divisor of 0 or what is not finite. Two different
 * products of 24 and 28 bits are further apart than the rounding of the quotient, so a cut-off quotient is never too large.
 */
function emitReduction(
  fn: Pick<FunctionBuilder, 'loop' | 'branchIf' | 'set' | 'local'>,
  rest: Local<'v128'>,
  divisor: Local<'v128'>,
): void {
  const quotient = fn.local('v128', 'quotient')
  // The sign, the exponent and the highest 27 bits of the fraction of a float64.
  const leading = v128.const(BigInt64Array.of(-1n << 25n, -1n << 25n))
  fn.loop((next) => {
    fn.set(quotient, f64x2.trunc(v128.and(f64x2.div(rest, divisor), leading)))
    fn.set(rest, f64x2.sub(rest, f64x2.mul(quotient, divisor)))
    fn.branchIf(next, v128.anyTrue(f64x2.ge(rest, divisor)))
  })
}

/** Shifts by a count of its own for each lane, modulo 32. */
export function shiftEachLane(
  code: FusedCode,
  a: Vector,
  b: Vector,
  kind: 'left' | 'rightSigned' | 'rightUnsigned',
): Vector {
  const shift = { left: i32.shl, rightSigned: i32.shrS, rightUnsigned: i32.shrU }[kind]
  const values = code.keep(a)
  const counts = code.keep(b)
  const lane = (index: number): Integer => shift(i32x4.extractLane(values, index), i32x4.extractLane(counts, index))
  let result = i32x4.splat(lane(0))
  for (let index = 1; index < 4; index++) result = i32x4.replaceLane(result, index, lane(index))
  return result
}
