import { AssemblerError } from './errors.ts'
import type { Operand } from './expression.ts'
import {
  binary,
  checkLane,
  checkOffset,
  Expression,
  instruction,
  load,
  store,
  ternary,
  toExpression,
  unary,
} from './expression.ts'
import type { ValueType } from './types.ts'

type Vector = Expression<'v128'>

const one = (name: string, opcode: number) => unary(name, 0xfd, opcode, 'v128', 'v128')
const two = (name: string, opcode: number) => binary(name, 0xfd, opcode, 'v128', 'v128')
const three = (name: string, opcode: number) => ternary(name, 0xfd, opcode, 'v128')
const test = (name: string, opcode: number) => unary(name, 0xfd, opcode, 'v128', 'i32')
const loadVector = (name: string, opcode: number, alignment = 0) => load(name, 0xfd, opcode, 'v128', alignment)

function shift(name: string, opcode: number) {
  const op = instruction(name, 0xfd, opcode)
  return (value: Vector, count: Operand<'i32'>): Vector =>
    new Expression('v128', op, [toExpression('v128', value, name), toExpression('i32', count, name)])
}

function extractLane<R extends ValueType>(name: string, opcode: number, result: R, lanes: number) {
  const op = instruction(name, 0xfd, opcode, 'lane')
  return (value: Vector, lane: number): Expression<R> =>
    new Expression(result, op, [toExpression('v128', value, name)], { lane: checkLane(name, lane, lanes) })
}

function replaceLane<A extends ValueType>(name: string, opcode: number, scalar: A, lanes: number) {
  const op = instruction(name, 0xfd, opcode, 'lane')
  return (vector: Vector, lane: number, value: Operand<A>): Vector =>
    new Expression('v128', op, [toExpression('v128', vector, name), toExpression(scalar, value, name)], {
      lane: checkLane(name, lane, lanes),
    })
}

function loadLane(name: string, opcode: number, lanes: number, alignment: number) {
  const op = instruction(name, 0xfd, opcode, 'memoryLane', alignment)
  return (address: Operand<'i32'>, vector: Vector, lane: number, offset = 0): Vector =>
    new Expression('v128', op, [toExpression('i32', address, name), toExpression('v128', vector, name)], {
      lane: checkLane(name, lane, lanes),
      offset: checkOffset(name, offset),
    })
}

function storeLane(name: string, opcode: number, lanes: number, alignment: number) {
  const op = instruction(name, 0xfd, opcode, 'memoryLane', alignment)
  return (address: Operand<'i32'>, vector: Vector, lane: number, offset = 0): Expression<'void'> =>
    new Expression('void', op, [toExpression('i32', address, name), toExpression('v128', vector, name)], {
      lane: checkLane(name, lane, lanes),
      offset: checkOffset(name, offset),
    })
}

const vectorConst = instruction('v128.const', 0xfd, 12, 'lanes')
const shuffleOp = instruction('i8x16.shuffle', 0xfd, 13, 'lanes')

/** A constant of 16 bytes. Slow inside loops in V8: load constants into locals before the loop. */
function constant(bytes: ArrayBufferView): Vector {
  if (bytes.byteLength !== 16) throw new AssemblerError(`v128.const: expected 16 bytes, got ${bytes.byteLength}`)
  return new Expression('v128', vectorConst, [], {
    bytes: [...new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)],
  })
}

/** Bytes 0–15 name the lanes of `left`, 16–31 those of `right`. */
function shuffle(left: Vector, right: Vector, lanes: readonly number[]): Vector {
  if (lanes.length !== 16) throw new AssemblerError(`i8x16.shuffle: expected 16 lanes, got ${lanes.length}`)
  for (const lane of lanes) checkLane('i8x16.shuffle', lane, 32)
  return new Expression(
    'v128',
    shuffleOp,
    [toExpression('v128', left, 'i8x16.shuffle'), toExpression('v128', right, 'i8x16.shuffle')],
    { bytes: lanes },
  )
}

/** A shuffle of four 32-bit lanes: 0–3 name the lanes of `left`, 4–7 those of `right`. */
function shuffle32(left: Vector, right: Vector, lanes: readonly [number, number, number, number]): Vector {
  for (const lane of lanes) checkLane('i32x4 shuffle', lane, 8)
  return shuffle(
    left,
    right,
    lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
  )
}

/** Instructions on 128-bit vectors as bits, loads of vectors. */
export const v128 = {
  const: constant,
  load: loadVector('v128.load', 0, 2),
  load8x8S: loadVector('v128.load8x8_s', 1),
  load8x8U: loadVector('v128.load8x8_u', 2),
  load16x4S: loadVector('v128.load16x4_s', 3, 1),
  load16x4U: loadVector('v128.load16x4_u', 4, 1),
  load32x2S: loadVector('v128.load32x2_s', 5, 2),
  load32x2U: loadVector('v128.load32x2_u', 6, 2),
  load8Splat: loadVector('v128.load8_splat', 7),
  load16Splat: loadVector('v128.load16_splat', 8, 1),
  load32Splat: loadVector('v128.load32_splat', 9, 2),
  load64Splat: loadVector('v128.load64_splat', 10, 2),
  load32Zero: loadVector('v128.load32_zero', 92, 2),
  load64Zero: loadVector('v128.load64_zero', 93, 2),
  load8Lane: loadLane('v128.load8_lane', 84, 16, 0),
  load16Lane: loadLane('v128.load16_lane', 85, 8, 1),
  load32Lane: loadLane('v128.load32_lane', 86, 4, 2),
  load64Lane: loadLane('v128.load64_lane', 87, 2, 2),
  not: one('v128.not', 77),
  and: two('v128.and', 78),
  /** left AND NOT right. */
  andnot: two('v128.andnot', 79),
  or: two('v128.or', 80),
  xor: two('v128.xor', 81),
  /** Bits of the first operand where the third is 1, of the second where it is 0. */
  bitselect: three('v128.bitselect', 82),
  anyTrue: test('v128.any_true', 83),
  shuffle32,
}

/** Stores of vectors, as effects; kernels write them with `fn.store` and `fn.storeLane`. */
export const vectorStore = {
  v128: store('v128.store', 0xfd, 11, 'v128', 2),
  lane8: storeLane('v128.store8_lane', 88, 16, 0),
  lane16: storeLane('v128.store16_lane', 89, 8, 1),
  lane32: storeLane('v128.store32_lane', 90, 4, 2),
  lane64: storeLane('v128.store64_lane', 91, 2, 2),
}

/** Sixteen 8-bit integers. */
export const i8x16 = {
  shuffle,
  swizzle: two('i8x16.swizzle', 14),
  splat: unary('i8x16.splat', 0xfd, 15, 'i32', 'v128'),
  extractLaneS: extractLane('i8x16.extract_lane_s', 21, 'i32', 16),
  extractLaneU: extractLane('i8x16.extract_lane_u', 22, 'i32', 16),
  replaceLane: replaceLane('i8x16.replace_lane', 23, 'i32', 16),
  eq: two('i8x16.eq', 35),
  ne: two('i8x16.ne', 36),
  ltS: two('i8x16.lt_s', 37),
  ltU: two('i8x16.lt_u', 38),
  gtS: two('i8x16.gt_s', 39),
  gtU: two('i8x16.gt_u', 40),
  leS: two('i8x16.le_s', 41),
  leU: two('i8x16.le_u', 42),
  geS: two('i8x16.ge_s', 43),
  geU: two('i8x16.ge_u', 44),
  abs: one('i8x16.abs', 96),
  neg: one('i8x16.neg', 97),
  popcnt: one('i8x16.popcnt', 98),
  allTrue: test('i8x16.all_true', 99),
  bitmask: test('i8x16.bitmask', 100),
  narrowI16x8S: two('i8x16.narrow_i16x8_s', 101),
  narrowI16x8U: two('i8x16.narrow_i16x8_u', 102),
  shl: shift('i8x16.shl', 107),
  shrS: shift('i8x16.shr_s', 108),
  shrU: shift('i8x16.shr_u', 109),
  add: two('i8x16.add', 110),
  addSatS: two('i8x16.add_sat_s', 111),
  addSatU: two('i8x16.add_sat_u', 112),
  sub: two('i8x16.sub', 113),
  subSatS: two('i8x16.sub_sat_s', 114),
  subSatU: two('i8x16.sub_sat_u', 115),
  minS: two('i8x16.min_s', 118),
  minU: two('i8x16.min_u', 119),
  maxS: two('i8x16.max_s', 120),
  maxU: two('i8x16.max_u', 121),
  avgrU: two('i8x16.avgr_u', 123),
  relaxedSwizzle: two('i8x16.relaxed_swizzle', 0x100),
  relaxedLaneselect: three('i8x16.relaxed_laneselect', 0x109),
}

/** Eight 16-bit integers. */
export const i16x8 = {
  splat: unary('i16x8.splat', 0xfd, 16, 'i32', 'v128'),
  extractLaneS: extractLane('i16x8.extract_lane_s', 24, 'i32', 8),
  extractLaneU: extractLane('i16x8.extract_lane_u', 25, 'i32', 8),
  replaceLane: replaceLane('i16x8.replace_lane', 26, 'i32', 8),
  eq: two('i16x8.eq', 45),
  ne: two('i16x8.ne', 46),
  ltS: two('i16x8.lt_s', 47),
  ltU: two('i16x8.lt_u', 48),
  gtS: two('i16x8.gt_s', 49),
  gtU: two('i16x8.gt_u', 50),
  leS: two('i16x8.le_s', 51),
  leU: two('i16x8.le_u', 52),
  geS: two('i16x8.ge_s', 53),
  geU: two('i16x8.ge_u', 54),
  extaddPairwiseI8x16S: one('i16x8.extadd_pairwise_i8x16_s', 124),
  extaddPairwiseI8x16U: one('i16x8.extadd_pairwise_i8x16_u', 125),
  abs: one('i16x8.abs', 128),
  neg: one('i16x8.neg', 129),
  q15mulrSatS: two('i16x8.q15mulr_sat_s', 130),
  allTrue: test('i16x8.all_true', 131),
  bitmask: test('i16x8.bitmask', 132),
  narrowI32x4S: two('i16x8.narrow_i32x4_s', 133),
  narrowI32x4U: two('i16x8.narrow_i32x4_u', 134),
  extendLowI8x16S: one('i16x8.extend_low_i8x16_s', 135),
  extendHighI8x16S: one('i16x8.extend_high_i8x16_s', 136),
  extendLowI8x16U: one('i16x8.extend_low_i8x16_u', 137),
  extendHighI8x16U: one('i16x8.extend_high_i8x16_u', 138),
  shl: shift('i16x8.shl', 139),
  shrS: shift('i16x8.shr_s', 140),
  shrU: shift('i16x8.shr_u', 141),
  add: two('i16x8.add', 142),
  addSatS: two('i16x8.add_sat_s', 143),
  addSatU: two('i16x8.add_sat_u', 144),
  sub: two('i16x8.sub', 145),
  subSatS: two('i16x8.sub_sat_s', 146),
  subSatU: two('i16x8.sub_sat_u', 147),
  mul: two('i16x8.mul', 149),
  minS: two('i16x8.min_s', 150),
  minU: two('i16x8.min_u', 151),
  maxS: two('i16x8.max_s', 152),
  maxU: two('i16x8.max_u', 153),
  avgrU: two('i16x8.avgr_u', 155),
  extmulLowI8x16S: two('i16x8.extmul_low_i8x16_s', 156),
  extmulHighI8x16S: two('i16x8.extmul_high_i8x16_s', 157),
  extmulLowI8x16U: two('i16x8.extmul_low_i8x16_u', 158),
  extmulHighI8x16U: two('i16x8.extmul_high_i8x16_u', 159),
  relaxedLaneselect: three('i16x8.relaxed_laneselect', 0x10a),
  relaxedQ15mulrS: two('i16x8.relaxed_q15mulr_s', 0x111),
  relaxedDotI8x16I7x16S: two('i16x8.relaxed_dot_i8x16_i7x16_s', 0x112),
}

/** Four 32-bit integers. */
export const i32x4 = {
  splat: unary('i32x4.splat', 0xfd, 17, 'i32', 'v128'),
  extractLane: extractLane('i32x4.extract_lane', 27, 'i32', 4),
  replaceLane: replaceLane('i32x4.replace_lane', 28, 'i32', 4),
  eq: two('i32x4.eq', 55),
  ne: two('i32x4.ne', 56),
  ltS: two('i32x4.lt_s', 57),
  ltU: two('i32x4.lt_u', 58),
  gtS: two('i32x4.gt_s', 59),
  gtU: two('i32x4.gt_u', 60),
  leS: two('i32x4.le_s', 61),
  leU: two('i32x4.le_u', 62),
  geS: two('i32x4.ge_s', 63),
  geU: two('i32x4.ge_u', 64),
  extaddPairwiseI16x8S: one('i32x4.extadd_pairwise_i16x8_s', 126),
  extaddPairwiseI16x8U: one('i32x4.extadd_pairwise_i16x8_u', 127),
  abs: one('i32x4.abs', 160),
  neg: one('i32x4.neg', 161),
  allTrue: test('i32x4.all_true', 163),
  bitmask: test('i32x4.bitmask', 164),
  extendLowI16x8S: one('i32x4.extend_low_i16x8_s', 167),
  extendHighI16x8S: one('i32x4.extend_high_i16x8_s', 168),
  extendLowI16x8U: one('i32x4.extend_low_i16x8_u', 169),
  extendHighI16x8U: one('i32x4.extend_high_i16x8_u', 170),
  shl: shift('i32x4.shl', 171),
  shrS: shift('i32x4.shr_s', 172),
  shrU: shift('i32x4.shr_u', 173),
  add: two('i32x4.add', 174),
  sub: two('i32x4.sub', 177),
  mul: two('i32x4.mul', 181),
  minS: two('i32x4.min_s', 182),
  minU: two('i32x4.min_u', 183),
  maxS: two('i32x4.max_s', 184),
  maxU: two('i32x4.max_u', 185),
  dotI16x8S: two('i32x4.dot_i16x8_s', 186),
  extmulLowI16x8S: two('i32x4.extmul_low_i16x8_s', 188),
  extmulHighI16x8S: two('i32x4.extmul_high_i16x8_s', 189),
  extmulLowI16x8U: two('i32x4.extmul_low_i16x8_u', 190),
  extmulHighI16x8U: two('i32x4.extmul_high_i16x8_u', 191),
  truncSatF32x4S: one('i32x4.trunc_sat_f32x4_s', 248),
  truncSatF32x4U: one('i32x4.trunc_sat_f32x4_u', 249),
  truncSatF64x2SZero: one('i32x4.trunc_sat_f64x2_s_zero', 252),
  truncSatF64x2UZero: one('i32x4.trunc_sat_f64x2_u_zero', 253),
  relaxedTruncF32x4S: one('i32x4.relaxed_trunc_f32x4_s', 0x101),
  relaxedTruncF32x4U: one('i32x4.relaxed_trunc_f32x4_u', 0x102),
  relaxedTruncF64x2SZero: one('i32x4.relaxed_trunc_f64x2_s_zero', 0x103),
  relaxedTruncF64x2UZero: one('i32x4.relaxed_trunc_f64x2_u_zero', 0x104),
  relaxedLaneselect: three('i32x4.relaxed_laneselect', 0x10b),
  relaxedDotI8x16I7x16AddS: three('i32x4.relaxed_dot_i8x16_i7x16_add_s', 0x113),
}

/** Two 64-bit integers. */
export const i64x2 = {
  splat: unary('i64x2.splat', 0xfd, 18, 'i64', 'v128'),
  extractLane: extractLane('i64x2.extract_lane', 29, 'i64', 2),
  replaceLane: replaceLane('i64x2.replace_lane', 30, 'i64', 2),
  abs: one('i64x2.abs', 192),
  neg: one('i64x2.neg', 193),
  allTrue: test('i64x2.all_true', 195),
  bitmask: test('i64x2.bitmask', 196),
  extendLowI32x4S: one('i64x2.extend_low_i32x4_s', 199),
  extendHighI32x4S: one('i64x2.extend_high_i32x4_s', 200),
  extendLowI32x4U: one('i64x2.extend_low_i32x4_u', 201),
  extendHighI32x4U: one('i64x2.extend_high_i32x4_u', 202),
  shl: shift('i64x2.shl', 203),
  shrS: shift('i64x2.shr_s', 204),
  shrU: shift('i64x2.shr_u', 205),
  add: two('i64x2.add', 206),
  sub: two('i64x2.sub', 209),
  mul: two('i64x2.mul', 213),
  eq: two('i64x2.eq', 214),
  ne: two('i64x2.ne', 215),
  ltS: two('i64x2.lt_s', 216),
  gtS: two('i64x2.gt_s', 217),
  leS: two('i64x2.le_s', 218),
  geS: two('i64x2.ge_s', 219),
  extmulLowI32x4S: two('i64x2.extmul_low_i32x4_s', 220),
  extmulHighI32x4S: two('i64x2.extmul_high_i32x4_s', 221),
  extmulLowI32x4U: two('i64x2.extmul_low_i32x4_u', 222),
  extmulHighI32x4U: two('i64x2.extmul_high_i32x4_u', 223),
  relaxedLaneselect: three('i64x2.relaxed_laneselect', 0x10c),
}

/** Four 32-bit floats. */
export const f32x4 = {
  splat: unary('f32x4.splat', 0xfd, 19, 'f32', 'v128'),
  extractLane: extractLane('f32x4.extract_lane', 31, 'f32', 4),
  replaceLane: replaceLane('f32x4.replace_lane', 32, 'f32', 4),
  eq: two('f32x4.eq', 65),
  ne: two('f32x4.ne', 66),
  lt: two('f32x4.lt', 67),
  gt: two('f32x4.gt', 68),
  le: two('f32x4.le', 69),
  ge: two('f32x4.ge', 70),
  demoteF64x2Zero: one('f32x4.demote_f64x2_zero', 94),
  ceil: one('f32x4.ceil', 103),
  floor: one('f32x4.floor', 104),
  trunc: one('f32x4.trunc', 105),
  nearest: one('f32x4.nearest', 106),
  abs: one('f32x4.abs', 224),
  neg: one('f32x4.neg', 225),
  sqrt: one('f32x4.sqrt', 227),
  add: two('f32x4.add', 228),
  sub: two('f32x4.sub', 229),
  mul: two('f32x4.mul', 230),
  div: two('f32x4.div', 231),
  /** NaN if either side is NaN. Four times the cost of `pmin` or `relaxedMin` on x86-64. */
  min: two('f32x4.min', 232),
  max: two('f32x4.max', 233),
  /** right < left ? right : left. */
  pmin: two('f32x4.pmin', 234),
  /** left < right ? right : left. */
  pmax: two('f32x4.pmax', 235),
  convertI32x4S: one('f32x4.convert_i32x4_s', 250),
  convertI32x4U: one('f32x4.convert_i32x4_u', 251),
  /** a · b + c, rounded once or twice. */
  relaxedMadd: three('f32x4.relaxed_madd', 0x105),
  /** −(a · b) + c, rounded once or twice. */
  relaxedNmadd: three('f32x4.relaxed_nmadd', 0x106),
  relaxedMin: two('f32x4.relaxed_min', 0x10d),
  relaxedMax: two('f32x4.relaxed_max', 0x10e),
}

/** Two 64-bit floats. */
export const f64x2 = {
  splat: unary('f64x2.splat', 0xfd, 20, 'f64', 'v128'),
  extractLane: extractLane('f64x2.extract_lane', 33, 'f64', 2),
  replaceLane: replaceLane('f64x2.replace_lane', 34, 'f64', 2),
  eq: two('f64x2.eq', 71),
  ne: two('f64x2.ne', 72),
  lt: two('f64x2.lt', 73),
  gt: two('f64x2.gt', 74),
  le: two('f64x2.le', 75),
  ge: two('f64x2.ge', 76),
  promoteLowF32x4: one('f64x2.promote_low_f32x4', 95),
  ceil: one('f64x2.ceil', 116),
  floor: one('f64x2.floor', 117),
  trunc: one('f64x2.trunc', 122),
  nearest: one('f64x2.nearest', 148),
  abs: one('f64x2.abs', 236),
  neg: one('f64x2.neg', 237),
  sqrt: one('f64x2.sqrt', 239),
  add: two('f64x2.add', 240),
  sub: two('f64x2.sub', 241),
  mul: two('f64x2.mul', 242),
  div: two('f64x2.div', 243),
  min: two('f64x2.min', 244),
  max: two('f64x2.max', 245),
  pmin: two('f64x2.pmin', 246),
  pmax: two('f64x2.pmax', 247),
  convertLowI32x4S: one('f64x2.convert_low_i32x4_s', 254),
  convertLowI32x4U: one('f64x2.convert_low_i32x4_u', 255),
  relaxedMadd: three('f64x2.relaxed_madd', 0x107),
  relaxedNmadd: three('f64x2.relaxed_nmadd', 0x108),
  relaxedMin: two('f64x2.relaxed_min', 0x10f),
  relaxedMax: two('f64x2.relaxed_max', 0x110),
}
