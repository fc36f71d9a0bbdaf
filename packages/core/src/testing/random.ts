import { type DType, formatOf, isFloat, type TypedArray } from '../graph/format.ts'
import { encoderOf, rangeOf } from '../run/reference/numbers.ts'

/** A small deterministic generator: the same seed gives the same numbers everywhere. */
export interface Random {
  readonly seed: number
  /** Uniform in [0, 1), 32 bits. */
  unit(): number
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number
  /** Uniform integer, both ends included. */
  integer(low: number, high: number): number
  /** Standard normal, by Box and Muller. */
  normal(): number
  pick<T>(choices: readonly T[]): T
}

/** Mulberry32: a Weyl sequence through an avalanche of multiplications and shifts. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (low: number, high: number): number => low + Math.floor(unit() * (high - low + 1))
  return {
    seed: seed >>> 0,
    unit,
    uniform: (low, high) => low + unit() * (high - low),
    integer,
    normal: () => Math.sqrt(-2 * Math.log(1 - unit())) * Math.cos(2 * Math.PI * unit()),
    pick: (choices) => choices[integer(0, choices.length - 1)]!,
  }
}

/** A seed for a named test, so that each test draws its own numbers in whatever order tests run (FNV-1a). */
export function seedFor(name: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/** Numbers in the storage of a format: f16 and bf16 as their bits, others as the typed array converts them. */
export function toStorage(dtype: DType, numbers: ArrayLike<number>): TypedArray {
  const encode = encoderOf(dtype)
  const stored = new (formatOf(dtype).array)(numbers.length)
  for (let i = 0; i < numbers.length; i++) stored[i] = encode ? encode(numbers[i]!) : numbers[i]!
  return stored
}

/** Random contents: standard normal floats, integers over their whole range, booleans half true. */
export function randomStorage(random: Random, dtype: DType, count: number): TypedArray {
  const { lowest, highest } = rangeOf(dtype)
  const draw = isFloat(dtype) ? () => random.normal() : () => random.integer(lowest, highest)
  return toStorage(dtype, Array.from({ length: count }, draw))
}
