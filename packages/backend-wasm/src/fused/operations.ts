import type { DType } from '@tessera/core'
import { f32x4, i32x4, v128 } from '../assembler/index.ts'
import { decodeHalf, encodeHalf, type HalfFormat, roundToHalf } from '../math/index.ts'
import { usesRelaxedSimd } from '../variant.ts'
import type { ComputeValue, LoweredOp } from './body.ts'
import type { FusedCode, Vector } from './code.ts'
import { divideIntegers, remainderFloats, remainderIntegers, shiftEachLane } from './division.ts'
import { powerOf, transcendental } from './transcendental.ts'

/** How a format stands in a vector: as floats, as integers, or as a mask of all ones or zeros for `bool`. */
export type LaneKind = 'float' | 'signed' | 'unsigned' | 'mask'

const laneKinds: Partial<Record<DType, LaneKind>> = {
  f32: 'float',
  // Computed as f32; rounded when they are stored, cast or compared.
  f16: 'float',
  bf16: 'float',
  i32: 'signed',
  i16: 'signed',
  i8: 'signed',
  u32: 'unsigned',
  u8: 'unsigned',
  bool: 'mask',
}

/** The formats that this backend computes with. */
export const wasmFormats: readonly DType[] = Object.keys(laneKinds) as DType[]

export const isHalf = (dtype: DType): dtype is HalfFormat => dtype === 'f16' || dtype === 'bf16'

/** The lanes of a format, or `undefined` for one that this backend cannot compute with. */
export const laneKindOf = (dtype: DType): LaneKind | undefined => laneKinds[dtype]

/** The value of an elementwise op. Arguments that it uses several times must be locals, as those from `keep` are. */
export function computeLanes(code: FusedCode, value: ComputeValue, args: readonly Vector[]): Vector {
  const { op, dtype, from } = value
  const [a, b, c] = args as [Vector, Vector, Vector]
  if (op === 'where') return selectLanes(code, a, b, c)
  if (op === 'cast') return castLanes(code, a, from, dtype)
  if (op === 'bitcast') return bitcastLanes(code, a, from, dtype)
  const isComparison = dtype === 'bool' && isHalf(from)
  if (isComparison) return floatOperation(code, value, roundHalf(code, a, from), roundHalf(code, b, from))
  switch (laneKindOf(from)) {
    case 'float':
      return floatOperation(code, value, a, b)
    case 'mask':
      return maskOperation(code, op, a, b)
    default:
      return integerOperation(code, value, a, b)
  }
}

/** Kept, because operations may use their arguments twice. */
function roundHalf(code: FusedCode, value: Vector, dtype: HalfFormat): Vector {
  return code.keep(roundToHalf(code.math, dtype, value))
}

function bitcastLanes(code: FusedCode, value: Vector, from: DType, to: DType): Vector {
  if (isHalf(from)) {
    const bits = encodeHalf(code.math, from, value)
    return isHalf(to) ? decodeHalf(code.math, to, bits) : wrapLanes(bits, to)
  }
  if (isHalf(to)) return decodeHalf(code.math, to, v128.and(value, code.integer(0xffff)))
  return wrapLanes(value, to)
}

/** Lanes of `a` where the mask is set, of `b` elsewhere. */
export function selectLanes({ environment }: FusedCode, mask: Vector, a: Vector, b: Vector): Vector {
  return usesRelaxedSimd(environment.variant) ? i32x4.relaxedLaneselect(a, b, mask) : v128.bitselect(a, b, mask)
}

/** Integers of fewer than 32 bits, brought back to their width after an operation. */
export function wrapLanes(value: Vector, dtype: DType): Vector {
  if (dtype === 'i16') return i32x4.shrS(i32x4.shl(value, 16), 16)
  if (dtype === 'i8') return i32x4.shrS(i32x4.shl(value, 24), 24)
  if (dtype === 'u8') return i32x4.shrU(i32x4.shl(value, 24), 24)
  return value
}

/** The larger (or smaller) number in each lane, NaN where either is NaN; `b` may be declared free of NaN. */
export function extremum(
  code: FusedCode,
  which: 'maximum' | 'minimum',
  a: Vector,
  b: Vector,
  isNumber: boolean,
): Vector {
  const pick = which === 'maximum' ? f32x4.pmax : f32x4.pmin
  // pmax(a, b) = a < b ? b : a keeps a NaN in `a` but drops one in `b`.
  if (isNumber) return pick(a, b)
  const right = code.keep(b)
  return selectLanes(code, f32x4.ne(right, right), right, pick(a, right))
}

function floatOperation(code: FusedCode, { op, immediate }: ComputeValue, a: Vector, b: Vector): Vector {
  switch (op) {
    case 'negate':
      return f32x4.neg(a)
    case 'absolute':
      return f32x4.abs(a)
    case 'sign': {
      const x = code.keep(a)
      const zero = code.float(0)
      const positive = selectLanes(code, f32x4.gt(x, zero), code.float(1), x)
      return selectLanes(code, f32x4.lt(x, zero), code.float(-1), positive)
    }
    case 'floor':
      return f32x4.floor(a)
    case 'ceil':
      return f32x4.ceil(a)
    case 'round':
      return f32x4.nearest(a)
    case 'squareRoot':
      return f32x4.sqrt(a)
    case 'reciprocal':
      return f32x4.div(code.float(1), a)
    case 'add':
      return f32x4.add(a, b)
    case 'subtract':
      return f32x4.sub(a, b)
    case 'multiply':
      return f32x4.mul(a, b)
    case 'divide':
      return f32x4.div(a, b)
    case 'minimum':
    case 'maximum':
      return extremum(code, op, a, b, immediate !== undefined)
    case 'remainder':
      return remainderFloats(code, a, b)
    case 'power':
      return powerOf(code, a, b, immediate)
    case 'equal':
      return f32x4.eq(a, b)
    case 'notEqual':
      return f32x4.ne(a, b)
    case 'less':
      return f32x4.lt(a, b)
    case 'lessEqual':
      return f32x4.le(a, b)
    default:
      return transcendental(code, op, a)
  }
}

function maskOperation(code: FusedCode, op: LoweredOp, a: Vector, b: Vector): Vector {
  switch (op) {
    case 'not':
      return v128.not(a)
    case 'and':
      return v128.and(a, b)
    case 'or':
      return v128.or(a, b)
    case 'xor':
    case 'notEqual':
      return v128.xor(a, b)
    case 'equal':
      return i32x4.eq(a, b)
    default:
      throw unsupported(code, op, 'bool')
  }
}

function integerOperation(code: FusedCode, value: ComputeValue, a: Vector, b: Vector): Vector {
  const { op, from, immediate } = value
  const signed = laneKindOf(from) === 'signed'
  switch (op) {
    case 'negate':
      return wrapLanes(i32x4.neg(a), from)
    case 'absolute':
      return signed ? wrapLanes(i32x4.abs(a), from) : a
    case 'sign': {
      const one = code.integer(1)
      return signed ? i32x4.maxS(i32x4.minS(a, one), code.integer(-1)) : i32x4.minU(a, one)
    }
    case 'not':
      return wrapLanes(v128.not(a), from)
    case 'add':
      return wrapLanes(i32x4.add(a, b), from)
    case 'subtract':
      return wrapLanes(i32x4.sub(a, b), from)
    case 'multiply':
      return wrapLanes(i32x4.mul(a, b), from)
    case 'divide':
      return wrapLanes(divideIntegers(code, a, b, signed), from)
    case 'remainder':
      return remainderIntegers(code, a, b, signed)
    case 'minimum':
      return signed ? i32x4.minS(a, b) : i32x4.minU(a, b)
    case 'maximum':
      return signed ? i32x4.maxS(a, b) : i32x4.maxU(a, b)
    case 'and':
      return v128.and(a, b)
    case 'or':
      return v128.or(a, b)
    case 'xor':
      return v128.xor(a, b)
    case 'shiftLeft':
      return wrapLanes(immediate === undefined ? shiftEachLane(code, a, b, 'left') : i32x4.shl(a, immediate), from)
    case 'shiftRight':
      if (immediate === undefined) return shiftEachLane(code, a, b, signed ? 'rightSigned' : 'rightUnsigned')
      return signed ? i32x4.shrS(a, immediate) : i32x4.shrU(a, immediate)
    case 'equal':
      return i32x4.eq(a, b)
    case 'notEqual':
      return i32x4.ne(a, b)
    case 'less':
      return signed ? i32x4.ltS(a, b) : i32x4.ltU(a, b)
    case 'lessEqual':
      return signed ? i32x4.leS(a, b) : i32x4.leU(a, b)
    default:
      throw unsupported(code, op, from)
  }
}

/** Floats are truncated and saturate (NaN gives 0), integers keep their low bits, `bool` asks whether a value differs from 0. */
function castLanes(code: FusedCode, value: Vector, from: DType, to: DType): Vector {
  if (from === to) return value
  const source = laneKindOf(from)!
  const target = laneKindOf(to)!
  if (isHalf(to)) return roundToHalf(code.math, to, castLanes(code, value, from, 'f32'))
  if (isHalf(from) && to === 'f32') return value
  if (source === 'mask') return target === 'float' ? v128.and(value, code.float(1)) : i32x4.shrU(value, 31)
  if (target === 'mask') return source === 'float' ? f32x4.ne(value, code.float(0)) : i32x4.ne(value, code.integer(0))
  if (target === 'float') return from === 'u32' ? f32x4.convertI32x4U(value) : f32x4.convertI32x4S(value)
  if (source !== 'float') return wrapLanes(value, to)
  if (to === 'u32') return i32x4.truncSatF32x4U(value)
  const truncated = i32x4.truncSatF32x4S(value)
  if (to === 'i16') return i32x4.maxS(i32x4.minS(truncated, code.integer(32767)), code.integer(-32768))
  if (to === 'i8') return i32x4.maxS(i32x4.minS(truncated, code.integer(127)), code.integer(-128))
  if (to === 'u8') return i32x4.maxS(i32x4.minS(truncated, code.integer(255)), code.integer(0))
  return truncated
}

function unsupported(code: FusedCode, op: LoweredOp, dtype: DType): Error {
  return new Error(`fused: ${op} of ${dtype} has no vector form (in ${code.fn.name})`)
}
