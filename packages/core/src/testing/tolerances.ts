import { type DType, formatOf } from '../graph/format.ts'
import type { ElementwiseName } from '../graph/operations.ts'
import type { Tolerance } from './assertions.ts'

/** One unit in the last place of f32, relative. */
const ulp = 2 ** -23
/** Smallest normal f32: results below it may be flushed to zero by approximations. */
const smallestNormal = 2 ** -126

const exact: Tolerance = { relative: 0, absolute: 0 }
const ulps = (count: number, absolute = smallestNormal): Tolerance => ({ relative: count * ulp, absolute })

/**
 * How far an f32 result of one elementwise op may be from the float64 result rounded to f32, for operands in the range
 * that the suite draws from. Results of integers and booleans are exact. The figures leave room for the approximations of
 * graphics hardware that the WGSL specification grants (section "Floating point accuracy"), not for wrong algorithms:
 * `log1p` and `expm1` must be accurate near 0.
 */
export const elementwiseTolerances: Readonly<Record<ElementwiseName, Tolerance>> = {
  negate: exact,
  absolute: exact,
  sign: exact,
  floor: exact,
  ceil: exact,
  round: exact,
  not: exact,
  add: exact,
  subtract: exact,
  multiply: exact,
  minimum: exact,
  maximum: exact,
  and: exact,
  or: exact,
  xor: exact,
  shiftLeft: exact,
  shiftRight: exact,
  equal: exact,
  notEqual: exact,
  less: exact,
  lessEqual: exact,
  where: exact,
  cast: exact,
  bitcast: exact,
  remainder: exact,
  divide: ulps(3),
  squareRoot: ulps(3),
  reciprocal: ulps(3),
  exp: ulps(64),
  // Near 1 the logarithm itself is near 0.
  log: ulps(4, 5e-7),
  log1p: ulps(16),
  expm1: ulps(16),
  sin: ulps(0, 2e-6),
  cos: ulps(0, 2e-6),
  tanh: ulps(16),
  erf: ulps(16),
  power: ulps(128),
}

/** Distance between neighbouring numbers of a float format near 1; 0 for integers, which are exact. */
export function spacing(dtype: DType): number {
  if (formatOf(dtype).kind !== 'float') return 0
  return { f64: 2 ** -52, f32: ulp, f16: 2 ** -10, bf16: 2 ** -7 }[dtype as string] ?? ulp
}

/** Ops that hand on one of their operands, or a result that every float format holds exactly. */
const movesOnly: ReadonlySet<ElementwiseName> = new Set([
  'negate',
  'absolute',
  'sign',
  'floor',
  'ceil',
  'round',
  'minimum',
  'maximum',
  'where',
  'bitcast',
])

/**
 * The tolerance of an op with a result of format `dtype`. Formats of 16 bits may be computed in f32 and rounded twice,
 * which costs at most one unit in their last place.
 */
export function toleranceOf(
  op: ElementwiseName,
  dtype: DType,
  overrides: Partial<Record<ElementwiseName, Tolerance>> = {},
): Tolerance {
  if (formatOf(dtype).kind !== 'float') return exact
  const stated = overrides[op] ?? elementwiseTolerances[op]
  if (dtype === 'f32' || dtype === 'f64' || movesOnly.has(op)) return stated
  return { relative: stated.relative + spacing(dtype), absolute: stated.absolute + spacing(dtype) * smallestIn(dtype) }
}

/** Smallest normal number of a 16-bit format: below it, numbers are evenly spaced. */
const smallestIn = (dtype: DType): number => (dtype === 'f16' ? 2 ** -14 : smallestNormal)
