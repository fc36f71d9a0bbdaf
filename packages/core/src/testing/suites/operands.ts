import { type DType, formatOf } from '../../graph/format.ts'
import type { BinaryName, UnaryName } from '../../graph/operations.ts'
import { rangeOf } from '../../run/reference/numbers.ts'
import type { Capabilities } from '../context.ts'
import type { Random } from '../random.ts'

/** Lengths that are empty, single, odd, a vector, a little more, and beyond a block. */
export const lengths = [0, 1, 3, 7, 17, 64, 129, 1500] as const

export const floatUnary = [
  'negate',
  'absolute',
  'sign',
  'floor',
  'ceil',
  'round',
  'squareRoot',
  'reciprocal',
  'exp',
  'log',
  'log1p',
  'expm1',
  'sin',
  'cos',
  'tanh',
  'erf',
] as const satisfies readonly UnaryName[]
export const floatBinary = [
  'add',
  'subtract',
  'multiply',
  'divide',
  'remainder',
  'power',
  'minimum',
  'maximum',
] as const satisfies readonly BinaryName[]
export const comparisons = ['equal', 'notEqual', 'less', 'lessEqual'] as const satisfies readonly BinaryName[]
export const integerUnary = ['negate', 'absolute', 'sign', 'not'] as const satisfies readonly UnaryName[]
export const integerBinary = [
  'add',
  'subtract',
  'multiply',
  'divide',
  'remainder',
  'minimum',
  'maximum',
  'and',
  'or',
  'xor',
  'shiftLeft',
  'shiftRight',
] as const satisfies readonly BinaryName[]
export const booleanBinary = ['and', 'or', 'xor'] as const satisfies readonly BinaryName[]

type Draw = (random: Random) => number
const between =
  (low: number, high: number): Draw =>
  (random) =>
    random.uniform(low, high)
/** A multiple of 1/8: sums, quotients by powers of two and halves are exact. */
const eighths =
  (low: number, high: number): Draw =>
  (random) =>
    random.integer(low * 8, high * 8) / 8
const either =
  (first: Draw, second: Draw): Draw =>
  (random) =>
    (random.unit() < 0.5 ? first : second)(random)
/** Magnitudes spread evenly over powers of ten, both signs. */
const magnitudes =
  (lowest: number, highest: number): Draw =>
  (random) =>
    10 ** random.uniform(lowest, highest) * random.pick([-1, 1])

/** Where random operands of each float op come from: its ordinary range. */
export const floatDomains: Record<(typeof floatUnary)[number] | (typeof floatBinary)[number], readonly Draw[]> = {
  negate: [between(-10, 10)],
  absolute: [between(-10, 10)],
  sign: [eighths(-1, 1)],
  floor: [either(eighths(-20, 20), between(-100, 100))],
  ceil: [either(eighths(-20, 20), between(-100, 100))],
  round: [either(eighths(-20, 20), between(-100, 100))],
  squareRoot: [between(0, 100)],
  reciprocal: [magnitudes(-3, 3)],
  exp: [between(-20, 20)],
  log: [either(between(0.5, 2), between(1e-3, 1000))],
  log1p: [either(between(-0.9, 10), magnitudes(-7, -2))],
  expm1: [either(between(-4, 4), magnitudes(-7, -2))],
  sin: [between(-10, 10)],
  cos: [between(-10, 10)],
  tanh: [either(between(-10, 10), magnitudes(-5, -1))],
  erf: [either(between(-4, 4), magnitudes(-5, -1))],
  add: [between(-10, 10), between(-10, 10)],
  subtract: [between(-10, 10), between(-10, 10)],
  multiply: [between(-10, 10), between(-10, 10)],
  divide: [between(-10, 10), magnitudes(-2, 2)],
  remainder: [eighths(-64, 64), (random) => random.pick([-4, -2.5, -1, -0.5, 0.5, 0.75, 1, 3, 7])],
  power: [between(0.1, 10), between(-4, 4)],
  minimum: [eighths(-2, 2), eighths(-2, 2)],
  maximum: [eighths(-2, 2), eighths(-2, 2)],
}

const ordinary = [0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3, -3, 1e-6, -1e-6]
const large = [8388607.5, 8388608, 16777216, -2147483648, 1e10, -1e10]
const ieee = [-0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]
const extreme = [3.4028234663852886e38, -3.4028234663852886e38, 2 ** -126]
const denormal = [2 ** -149, -(2 ** -149), 1e-40, -3e-39]

/** Ops whose approximations may take numbers below 2^-126 for zero, or lose their way far from the origin. */
const approximate: ReadonlySet<string> = new Set(['exp', 'log', 'log1p', 'expm1', 'sin', 'cos', 'tanh', 'erf', 'power'])
/** Ops that are periodic, or round the quotient of their operands: far from the origin they ask for more than f32 knows. */
const local: ReadonlySet<string> = new Set(['sin', 'cos', 'remainder'])

/** Special f32 operands of an op. */
export function specialFloats(op: string, { nonFinite, denormals }: Capabilities): number[] {
  return [
    ...ordinary,
    ...(local.has(op) ? [] : large),
    ...(nonFinite ? ieee : []),
    ...(nonFinite && !local.has(op) ? extreme : []),
    ...(denormals && nonFinite && !approximate.has(op) && !local.has(op) ? denormal : []),
  ]
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number

/** Special operands of `power`, whose rules do not follow from a grid. */
export function specialPowers({ nonFinite }: Capabilities): [number, number][] {
  const finite: [number, number][] = [
    [-2, 3],
    [-2, 2],
    [-2, -1],
    [-1.5, 0],
    [-1.5, 1],
    [-3, 5],
    [0, 2],
    [0, 0.5],
    [0, 0],
    [2, 0],
    [5, 1],
    [1, 7.5],
    [1, -3],
    [-1, 5],
    [10, -3],
  ]
  const others: [number, number][] = [
    [0, -1],
    [-0, -1],
    [-8, 1 / 3],
    [nan, 1],
    [2, nan],
    [2, infinity],
    [2, -infinity],
    [0.5, infinity],
    [0.5, -infinity],
    [infinity, 2],
    [infinity, -1],
    [-infinity, 3],
    [-infinity, 2],
    [10, 60],
    [10, -60],
  ]
  return nonFinite ? [...finite, ...others] : finite
}

/** Special operands of integer ops: around 0, the ends of the range, and shift counts from 32 on. */
export function specialIntegers(dtype: DType): number[] {
  const { lowest, highest } = rangeOf(dtype)
  const { bits } = formatOf(dtype)
  const candidates = [
    0,
    1,
    2,
    3,
    7,
    10,
    31,
    32,
    33,
    63,
    -1,
    -2,
    -7,
    -33,
    lowest,
    lowest + 1,
    highest,
    highest - 1,
    2 ** (bits - 2),
    65535,
    65536,
    123456789,
  ]
  return [...new Set(candidates)].filter((value) => value >= lowest && value <= highest)
}

/** Every pair of the values, as two lists. */
export function pairs(values: readonly number[]): [number[], number[]] {
  return [values.flatMap((a) => values.map(() => a)), values.flatMap(() => [...values])]
}
