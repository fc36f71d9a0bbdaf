import { TesseraError } from '../../errors.ts'
import { type DType, formatOf, isFloat } from '../../graph/format.ts'
import type { BinaryName, ComparisonName, ElementwiseName, ReduceName, UnaryName } from '../../graph/operations.ts'
import { erf } from './erf.ts'
import { bitcastBetween, castBetween, rangeOf, roundTo, wrapTo } from './numbers.ts'

/** One element of an elementwise op of one or two operands; an unused one is 0. */
export type Scalar = (a: number, b: number) => number

/** To the nearest integer, halves to the even one. */
export function roundHalfEven(x: number): number {
  return Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)
}

/** IEEE 754 `pow`: unlike in JavaScript, 1 to any power and −1 to an infinite one are 1. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Number.POSITIVE_INFINITY)) return 1
  return base ** exponent
}

const floatOps: Record<Exclude<UnaryName, 'not'> | Exclude<BinaryName, ComparisonName | BitwiseOnly>, Scalar> = {
  negate: (a) => -a,
  absolute: (a) => Math.abs(a),
  sign: (a) => Math.sign(a),
  floor: (a) => Math.floor(a),
  ceil: (a) => Math.ceil(a),
  round: (a) => roundHalfEven(a),
  squareRoot: (a) => Math.sqrt(a),
  reciprocal: (a) => 1 / a,
  exp: (a) => Math.exp(a),
  log: (a) => Math.log(a),
  log1p: (a) => Math.log1p(a),
  expm1: (a) => Math.expm1(a),
  sin: (a) => Math.sin(a),
  cos: (a) => Math.cos(a),
  tanh: (a) => Math.tanh(a),
  erf: (a) => erf(a),
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  // The sign of the dividend, as C's fmod.
  remainder: (a, b) => a % b,
  power,
  // Both give NaN when an operand is NaN.
  minimum: (a, b) => Math.min(a, b),
  maximum: (a, b) => Math.max(a, b),
}
type BitwiseOnly = 'and' | 'or' | 'xor' | 'shiftLeft' | 'shiftRight'

/** Exact results of integers of at most 32 bits; the caller wraps them. JavaScript takes shift counts modulo 32. */
const integerOps: Partial<Record<ElementwiseName, Scalar>> = {
  negate: (a) => -a,
  absolute: (a) => Math.abs(a),
  sign: (a) => Math.sign(a),
  not: (a) => ~a,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => Math.imul(a, b),
  divide: (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
  remainder: (a, b) => (b === 0 ? 0 : a % b),
  minimum: (a, b) => Math.min(a, b),
  maximum: (a, b) => Math.max(a, b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shiftLeft: (a, b) => a << b,
  shiftRight: (a, b) => a >> b,
}

const booleanOps: Partial<Record<ElementwiseName, Scalar>> = {
  not: (a) => 1 - a,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
}

/** All false with NaN, except `notEqual`. */
const comparisons: Record<ComparisonName, Scalar> = {
  equal: (a, b) => (a === b ? 1 : 0),
  notEqual: (a, b) => (a !== b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  lessEqual: (a, b) => (a <= b ? 1 : 0),
}
const isComparison = (op: ElementwiseName): op is ComparisonName => op in comparisons

/**
 * The function of an elementwise op (all but `where`, which only chooses) from operands of the given formats to a result of format `dtype`. Integer results wrap
 * to their width; float results stay in float64 and are rounded where they are stored, cast or compared.
 *
 * @throws TesseraError `UNSUPPORTED` when the op is not defined for the formats
 */
export function scalarFunction(op: ElementwiseName, operands: readonly DType[], dtype: DType): Scalar {
  const from = operands[0]!
  if (op === 'cast') return castBetween(from, dtype)
  if (op === 'bitcast') return bitcastBetween(from, dtype)
  if (isComparison(op)) {
    const compare = comparisons[op]
    if (!isFloat(from) || from === 'f64') return compare
    // A comparison sees numbers of its operands' format: else a value that was stored and rounded would differ from
    // the same value computed again, and `equal(x, max(x))` would find no maximum.
    const round = roundTo(from)
    return (a, b) => compare(round(a), round(b))
  }
  const { kind } = formatOf(dtype)
  if (kind === 'float') return (floatOps as Partial<Record<ElementwiseName, Scalar>>)[op] ?? fail(op, dtype)
  if (kind === 'bool') return booleanOps[op] ?? fail(op, dtype)
  if (op === 'shiftRight' && kind === 'unsigned') return (a, b) => a >>> b
  const exact = integerOps[op] ?? fail(op, dtype)
  const wrap = wrapTo(dtype)
  return (a, b) => wrap(exact(a, b))
}

function fail(op: string, dtype: DType): never {
  throw new TesseraError(
    'UNSUPPORTED',
    `${op}: the reference backend has no ${op} of '${dtype}'. Cast the operands first.`,
  )
}

const reductions: Record<ReduceName, 'add' | 'multiply' | 'maximum' | 'minimum'> = {
  reduceSum: 'add',
  reduceProduct: 'multiply',
  reduceMaximum: 'maximum',
  reduceMinimum: 'minimum',
}

/** How a reduction starts (its result over no elements), and the op that takes in one more element. */
export function reduction(op: ReduceName, dtype: DType): { identity: number; combine: ElementwiseName } {
  const { lowest, highest } = rangeOf(dtype)
  const identity = { reduceSum: 0, reduceProduct: 1, reduceMaximum: lowest, reduceMinimum: highest }[op]
  return { identity, combine: reductions[op] }
}
