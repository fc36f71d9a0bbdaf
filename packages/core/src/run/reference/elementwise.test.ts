import { describe, expect, it } from 'vitest'
import type { DType } from '../../graph/format.ts'
import type { ElementwiseName } from '../../graph/operations.ts'
import { reduction, scalarFunction } from './elementwise.ts'

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number
/** Applies a binary (or unary) op whose operands and result have one format. */
const apply = (op: ElementwiseName, dtype: DType, a: number, b = 0): number =>
  scalarFunction(op, [dtype, dtype], dtype)(a, b)
const compare = (op: ElementwiseName, dtype: DType, a: number, b: number): number =>
  scalarFunction(op, [dtype, dtype], 'bool')(a, b)
const cast = (from: DType, to: DType, value: number): number => scalarFunction('cast', [from], to)(value, 0)
const bitcast = (from: DType, to: DType, value: number): number => scalarFunction('bitcast', [from], to)(value, 0)

describe('floats', () => {
  it('round halves to even', () => {
    const cases = [
      [0.5, 0],
      [1.5, 2],
      [2.5, 2],
      [3.5, 4],
      [-0.5, -0],
      [-1.5, -2],
      [-2.5, -2],
      [0.49999999999999994, 0],
      [2.4, 2],
      [2.6, 3],
      [-2.6, -3],
      [8388607.5, 8388608],
      [2 ** 53, 2 ** 53],
      [infinity, infinity],
      [nan, nan],
    ]
    for (const [x, expected] of cases) expect(apply('round', 'f32', x!), `round(${x})`).toBe(expected)
  })

  it('take the remainder with the sign of the dividend', () => {
    const cases = [
      [7, 3, 1],
      [-7, 3, -1],
      [7, -3, 1],
      [-7, -3, -1],
      [5.5, 2, 1.5],
      [6, 3, 0],
      [-6, 3, -0],
      [1, infinity, 1],
      [1, 0, nan],
      [infinity, 2, nan],
    ]
    for (const [a, b, expected] of cases) expect(apply('remainder', 'f32', a!, b!), `${a} rem ${b}`).toBe(expected)
  })

  it('raise to powers as IEEE 754 says', () => {
    const cases = [
      [1, nan, 1],
      [1, infinity, 1],
      [-1, infinity, 1],
      [-1, -infinity, 1],
      [nan, 0, 1],
      [0, 0, 1],
      [-8, 1 / 3, nan],
      [-2, 3, -8],
      [0, -1, infinity],
      [-0, -1, -infinity],
      [2, -infinity, 0],
      [2, nan, nan],
      [2, 10, 1024],
    ]
    for (const [a, b, expected] of cases) expect(apply('power', 'f32', a!, b!), `${a} ^ ${b}`).toBe(expected)
  })

  it('carry NaN through minimum and maximum, and through sign', () => {
    for (const op of ['minimum', 'maximum'] as const) {
      for (const [a, b] of [
        [nan, 1],
        [1, nan],
        [nan, infinity],
      ])
        expect(apply(op, 'f32', a!, b!)).toBe(nan)
    }
    expect([apply('minimum', 'f32', -1, 2), apply('maximum', 'f32', -1, 2)]).toEqual([-1, 2])
    expect([
      apply('sign', 'f32', nan),
      apply('sign', 'f32', -3),
      apply('sign', 'f32', 0),
      apply('sign', 'f32', infinity),
    ]).toEqual([nan, -1, 0, 1])
  })

  it('stay in float64: nothing is rounded to f32 on the way', () => {
    expect(apply('add', 'f32', 1, 2 ** -40)).toBe(1 + 2 ** -40)
    expect(apply('multiply', 'f32', 2 ** 100, 2 ** 100)).toBe(2 ** 200)
  })

  it('compute the functions of their names', () => {
    const x = 0.7
    const expected: [ElementwiseName, number][] = [
      ['negate', -0.7],
      ['absolute', 0.7],
      ['floor', 0],
      ['ceil', 1],
      ['squareRoot', 0.8366600265340756],
      ['reciprocal', 1 / 0.7],
      ['exp', 2.0137527074704766],
      ['log', -0.35667494393873245],
      ['log1p', 0.5306282510621704],
      ['expm1', 1.0137527074704766],
      ['sin', 0.644217687237691],
      ['cos', 0.7648421872844885],
      ['tanh', 0.6043677771171636],
      ['erf', 0.6778011938374185],
    ]
    for (const [op, value] of expected) expect(apply(op, 'f32', x), op).toBeCloseTo(value, 15)
    expect([
      apply('add', 'f32', 2, 3),
      apply('subtract', 'f32', 2, 3),
      apply('multiply', 'f32', 2, 3),
      apply('divide', 'f32', 3, 2),
    ]).toEqual([5, -1, 6, 1.5])
    expect([apply('divide', 'f32', 1, 0), apply('divide', 'f32', -1, 0), apply('divide', 'f32', 0, 0)]).toEqual([
      infinity,
      -infinity,
      nan,
    ])
  })
})

describe('comparisons', () => {
  it('are false with NaN, except notEqual', () => {
    for (const [a, b] of [
      [nan, nan],
      [nan, 1],
      [1, nan],
    ]) {
      expect((['equal', 'less', 'lessEqual', 'notEqual'] as const).map((op) => compare(op, 'f32', a!, b!))).toEqual([
        0, 0, 0, 1,
      ])
    }
  })

  it('order numbers, with 0 equal to −0', () => {
    expect((['equal', 'notEqual', 'less', 'lessEqual'] as const).map((op) => compare(op, 'f32', 0, -0))).toEqual([
      1, 0, 0, 1,
    ])
    expect((['equal', 'notEqual', 'less', 'lessEqual'] as const).map((op) => compare(op, 'i32', -1, 1))).toEqual([
      0, 1, 1, 1,
    ])
    expect(compare('less', 'u32', 1, 4294967295)).toBe(1)
  })

  it('see operands as numbers of their format: what was stored equals what is computed again', () => {
    const computed = 1 / 3
    expect(compare('equal', 'f32', computed, Math.fround(computed))).toBe(1)
    expect(compare('less', 'f32', computed, Math.fround(computed))).toBe(0)
    expect(compare('equal', 'f64', computed, Math.fround(computed))).toBe(0)
  })
})

describe('integers', () => {
  const lowest = -2147483648
  it('wrap at 32 bits', () => {
    expect([
      apply('add', 'i32', 2147483647, 1),
      apply('subtract', 'i32', lowest, 1),
      apply('negate', 'i32', lowest),
      apply('absolute', 'i32', lowest),
    ]).toEqual([lowest, 2147483647, lowest, lowest])
    expect([apply('multiply', 'i32', 65537, 65537), apply('multiply', 'i32', 123456789, -987654321)]).toEqual([
      131073, 67153019,
    ])
    expect([
      apply('add', 'u32', 4294967295, 2),
      apply('subtract', 'u32', 1, 2),
      apply('multiply', 'u32', 4294967295, 4294967295),
      apply('negate', 'u32', 1),
    ]).toEqual([1, 4294967295, 1, 4294967295])
  })

  it('wrap at 8 bits', () => {
    expect([
      apply('add', 'i8', 127, 1),
      apply('multiply', 'i8', -128, -1),
      apply('add', 'u8', 255, 2),
      apply('subtract', 'u8', 0, 1),
    ]).toEqual([-128, -128, 1, 255])
  })

  it('divide towards zero, and by zero to zero', () => {
    expect([
      apply('divide', 'i32', 7, -2),
      apply('divide', 'i32', -7, 2),
      apply('divide', 'i32', lowest, -1),
      apply('divide', 'i32', 5, 0),
    ]).toEqual([-3, -3, lowest, 0])
    expect([
      apply('remainder', 'i32', 7, -2),
      apply('remainder', 'i32', -7, 2),
      apply('remainder', 'i32', lowest, -1),
      apply('remainder', 'i32', 5, 0),
    ]).toEqual([1, -1, 0, 0])
    expect([apply('divide', 'u32', 4294967295, 2), apply('remainder', 'u32', 4294967295, 10)]).toEqual([2147483647, 5])
  })

  it('shift by counts modulo 32, signed ones with their sign', () => {
    expect([
      apply('shiftLeft', 'i32', 1, 33),
      apply('shiftLeft', 'i32', 3, 31),
      apply('shiftRight', 'i32', -8, 1),
      apply('shiftRight', 'i32', -8, 32),
    ]).toEqual([2, lowest, -4, -8])
    expect([
      apply('shiftRight', 'u32', 4294967288, 1),
      apply('shiftLeft', 'u32', 1, 31),
      apply('shiftLeft', 'u32', 3, 31),
    ]).toEqual([2147483644, 2147483648, 2147483648])
  })

  it('work bit by bit', () => {
    expect([
      apply('and', 'i32', -1, 12),
      apply('or', 'i32', 5, -8),
      apply('xor', 'i32', 6, 3),
      apply('not', 'i32', 0),
    ]).toEqual([12, -3, 5, -1])
    expect([apply('not', 'u32', 0), apply('xor', 'u32', 4294967295, 1), apply('not', 'u8', 1)]).toEqual([
      4294967295, 4294967294, 254,
    ])
    expect([
      apply('not', 'bool', 0),
      apply('not', 'bool', 1),
      apply('xor', 'bool', 1, 1),
      apply('and', 'bool', 1, 0),
      apply('or', 'bool', 1, 0),
    ]).toEqual([1, 0, 0, 0, 1])
  })
})

describe('casts', () => {
  it('truncate and saturate floats', () => {
    const cases: [number, DType, number][] = [
      [2.9, 'i32', 2],
      [-2.9, 'i32', -2],
      [3e9, 'i32', 2147483647],
      [-3e9, 'i32', -2147483648],
      [nan, 'i32', 0],
      [infinity, 'i32', 2147483647],
      [-infinity, 'i32', -2147483648],
      [-1, 'u32', 0],
      [3e9, 'u32', 3000000000],
      [5e9, 'u32', 4294967295],
      [nan, 'u32', 0],
      [300, 'u8', 255],
      [-5, 'u8', 0],
      [300, 'i8', 127],
      [-300, 'i8', -128],
      [-0.5, 'i32', 0],
    ]
    for (const [value, to, expected] of cases) expect(cast('f32', to, value), `${value} to ${to}`).toBe(expected)
  })

  it('keep the low bits of integers', () => {
    expect([
      cast('i32', 'u32', -1),
      cast('u32', 'i32', 4294967295),
      cast('i32', 'u8', 257),
      cast('i32', 'i8', 200),
      cast('u32', 'u8', 4294967295),
    ]).toEqual([4294967295, -1, 1, -56, 255])
  })

  it('round to float formats, and ask whether a value is not zero for bool', () => {
    expect([
      cast('i32', 'f32', 16777217),
      cast('u32', 'f32', 4294967295),
      cast('f32', 'f16', 1 / 3),
      cast('f32', 'bf16', 1 / 3),
      cast('f64', 'f32', 0.1),
    ]).toEqual([16777216, 4294967296, 0.333251953125, 0.333984375, Math.fround(0.1)])
    expect([
      cast('f32', 'bool', 0.25),
      cast('f32', 'bool', -0),
      cast('f32', 'bool', nan),
      cast('i32', 'bool', -3),
      cast('bool', 'f32', 1),
    ]).toEqual([1, 0, 1, 1, 1])
  })

  it('read the same bits in another format', () => {
    expect([
      bitcast('f32', 'i32', 1),
      bitcast('f32', 'u32', -0),
      bitcast('i32', 'f32', 0x40490fdb),
      bitcast('i32', 'u32', -1),
      bitcast('u32', 'i32', 2147483648),
    ]).toEqual([0x3f800000, 2147483648, Math.fround(Math.PI), 4294967295, -2147483648])
    expect([bitcast('f32', 'u32', 1 / 3), bitcast('f16', 'bf16', 1), bitcast('u8', 'i8', 255)]).toEqual([
      0x3eaaaaab, 0.0078125, -1,
    ])
    expect(() => bitcast('f32', 'u8', 1)).toThrow(/32 bits, u8 has 8/)
  })
})

it('reductions start from the identity of their format', () => {
  const identities = (dtype: DType): number[] =>
    (['reduceSum', 'reduceProduct', 'reduceMaximum', 'reduceMinimum'] as const).map(
      (op) => reduction(op, dtype).identity,
    )
  expect(identities('f32')).toEqual([0, 1, -infinity, infinity])
  expect(identities('i32')).toEqual([0, 1, -2147483648, 2147483647])
  expect(identities('u32')).toEqual([0, 1, 0, 4294967295])
  expect(identities('i8')).toEqual([0, 1, -128, 127])
})

it('says which op of which format it does not know', () => {
  expect(() => apply('exp', 'i32', 1)).toThrow(/no exp of 'i32'/)
  expect(() => apply('add', 'bool', 1)).toThrow(/no add of 'bool'/)
  expect(() => apply('and', 'f32', 1)).toThrow(/no and of 'f32'/)
})
