import type { DType, ReduceName } from '@tessera/core'
import type { Local } from '../assembler/index.ts'
import { f32x4, i32x4, v128 } from '../assembler/index.ts'
import { usesRelaxedSimd } from '../variant.ts'
import type { FusedCode, Vector } from './code.ts'
import { laneKindOf, wrapLanes } from './operations.ts'

/** A reduction in progress: one running result for each lane and, for extrema of floats, the lanes that have seen a NaN. */
export interface Accumulator {
  readonly value: Local<'v128'>
  readonly nan: Local<'v128'> | undefined
}

/** What a reduction is of. */
export interface Reduction {
  readonly op: ReduceName
  readonly dtype: DType
}

const isFloatExtremum = ({ op, dtype }: Reduction): boolean =>
  laneKindOf(dtype) === 'float' && (op === 'reduceMaximum' || op === 'reduceMinimum')

/** The result over no elements, in every lane. */
function identity(code: FusedCode, { op, dtype }: Reduction): Vector {
  const isFloat = laneKindOf(dtype) === 'float'
  if (op === 'reduceSum') return code.integer(0)
  if (op === 'reduceProduct') return isFloat ? code.float(1) : code.integer(1)
  const isMaximum = op === 'reduceMaximum'
  if (isFloat) return code.float(isMaximum ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY)
  const bounds: Partial<Record<DType, readonly [number, number]>> = {
    i32: [-0x80000000, 0x7fffffff],
    u32: [0, -1],
    i16: [-32768, 32767],
    i8: [-128, 127],
    u8: [0, 255],
  }
  return code.integer(bounds[dtype]![isMaximum ? 0 : 1])
}

/** A new accumulator that has seen no elements. */
export function createAccumulator(code: FusedCode, reduction: Reduction): Accumulator {
  return {
    value: code.keep(identity(code, reduction), 'accumulator'),
    nan: isFloatExtremum(reduction) ? code.keep(code.integer(0), 'nan') : undefined,
  }
}

/** Takes in one element for each lane; with a mask only where it is set. */
export function accumulate(
  code: FusedCode,
  reduction: Reduction,
  { value, nan }: Accumulator,
  element: Vector,
  mask?: Vector,
): void {
  const { fn } = code
  const masked = mask ? maskElement(code, reduction, element, mask) : element
  if (!nan) {
    fn.set(value, combine(reduction, value, masked))
    return
  }
  const kept = code.keep(masked)
  fn.set(value, combine(reduction, value, kept))
  fn.set(nan, v128.or(nan, f32x4.ne(kept, kept)))
}

/** Takes in products a · b, rounded once where the machine can. */
export function accumulateProduct(code: FusedCode, { value }: Accumulator, a: Vector, b: Vector, mask?: Vector): void {
  const relaxed = usesRelaxedSimd(code.environment.variant)
  // Lanes that do not exist count as 0 · 0.
  const factor = mask ? v128.and(a, mask) : a
  const other = mask ? v128.and(b, mask) : b
  code.fn.set(value, relaxed ? f32x4.relaxedMadd(factor, other, value) : f32x4.add(value, f32x4.mul(factor, other)))
}

/**
 * Adds what several accumulators have seen to another one, pairwise. They go through memory side by side: stores are what V8's
 * revectoriser starts from when it looks for pairs of vectors.
 */
export function joinAccumulators(
  code: FusedCode,
  reduction: Reduction,
  into: Accumulator,
  accumulators: readonly Accumulator[],
): void {
  const { fn } = code
  if (code.environment.variant === 'wide' && !readsNarrowIntegers(code)) {
    const address = fn.parameters.threadScratch
    for (const vectors of [accumulators.map(({ value }) => value), accumulators.flatMap(({ nan }) => nan ?? [])]) {
      const offset = code.takeJoinBytes(16 * vectors.length)
      if (offset === undefined) continue
      vectors.forEach((vector, u) => {
        fn.store('v128', address, vector, offset + 16 * u)
      })
      vectors.forEach((vector, u) => {
        fn.set(vector, v128.load(address, offset + 16 * u))
      })
    }
  }
  let rest = accumulators
  while (rest.length > 1) {
    const half = rest.length / 2
    for (let u = 0; u < half; u++) mergeAccumulators(code, reduction, rest[u]!, rest[u + half]!)
    rest = rest.slice(0, half)
  }
  mergeAccumulators(code, reduction, into, rest[0]!)
}

/**
 * V8 13.6 joins accumulators wrongly in some loops that load integers of 8 or 16 bits: the sums of one row go into the next. Halves, which are decoded by
 * other instructions, are joined well.
 */
const readsNarrowIntegers = ({ body }: FusedCode): boolean =>
  body.accesses.some(({ kind, dtype }) => kind === 'load' && (dtype === 'i16' || dtype === 'i8' || dtype === 'u8'))

function mergeAccumulators(code: FusedCode, reduction: Reduction, into: Accumulator, from: Accumulator): void {
  code.fn.set(into.value, combine(reduction, into.value, from.value))
  if (into.nan && from.nan) code.fn.set(into.nan, v128.or(into.nan, from.nan))
}

/** The result of each lane on its own. */
export function laneResults(reduction: Reduction, { value, nan }: Accumulator): Vector {
  if (nan) return v128.or(value, nan)
  return wrapLanes(value, reduction.dtype)
}

/** The result over all lanes, in every lane. */
export function rowResult(code: FusedCode, reduction: Reduction, accumulator: Accumulator): Vector {
  return cutOff(code, resultInLanes(code, reduction, accumulator))
}

/**
 * A value that is the same in all lanes, by way of memory. When V8's revectoriser looks for pairs of instructions, it follows what they
 * use back to where it was loaded, and gives up if it meets an instruction that has no pair, as in the loops that made this value.
 */
function cutOff(code: FusedCode, value: Vector): Vector {
  const offset = code.environment.variant === 'wide' ? code.takeJoinBytes(16) : undefined
  if (offset === undefined) return value
  const address = code.fn.parameters.threadScratch
  code.fn.storeLane(32, address, value, 0, offset)
  return code.keep(v128.load32Splat(address, offset))
}

function resultInLanes(code: FusedCode, reduction: Reduction, accumulator: Accumulator): Vector {
  const acrossLanes = (vector: Vector, join: (a: Vector, b: Vector) => Vector): Vector => {
    const lanes = code.keep(vector)
    const halves = code.keep(join(lanes, v128.shuffle32(lanes, lanes, [2, 3, 0, 1])))
    return join(halves, v128.shuffle32(halves, halves, [1, 0, 3, 2]))
  }
  const value = acrossLanes(accumulator.value, (a, b) => combine(reduction, a, b))
  if (!accumulator.nan) return wrapLanes(value, reduction.dtype)
  // All ones are a NaN.
  return v128.or(value, acrossLanes(accumulator.nan, v128.or))
}

function maskElement(code: FusedCode, reduction: Reduction, element: Vector, mask: Vector): Vector {
  if (reduction.op === 'reduceSum') return v128.and(element, mask)
  return v128.bitselect(element, identity(code, reduction), mask)
}

function combine({ op, dtype }: Reduction, a: Vector, b: Vector): Vector {
  const kind = laneKindOf(dtype)
  switch (op) {
    case 'reduceSum':
      return kind === 'float' ? f32x4.add(a, b) : i32x4.add(a, b)
    case 'reduceProduct':
      return kind === 'float' ? f32x4.mul(a, b) : i32x4.mul(a, b)
    case 'reduceMaximum':
      return kind === 'float' ? f32x4.pmax(a, b) : kind === 'signed' ? i32x4.maxS(a, b) : i32x4.maxU(a, b)
    case 'reduceMinimum':
      return kind === 'float' ? f32x4.pmin(a, b) : kind === 'signed' ? i32x4.minS(a, b) : i32x4.minU(a, b)
  }
}
