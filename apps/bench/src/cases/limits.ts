import type { CaseFamily } from './case.ts'
import { uniformInput } from './inputs.ts'

/** A loop that does nothing but reach a limit of the machine. */
export interface LimitCase {
  readonly kind: 'limit'
  readonly name: string
  readonly loop: 'fma-128' | 'fma-256' | 'copy'
}

/** Rounds of the multiply-add loop; in each, every accumulator takes one multiply-add. */
export const fmaIterations = 50_000

/**
 * Four-lane accumulators of each loop: enough to hide the latency, few enough to stay in 16 registers
 * (of 128 bits, or of 256 where V8 pairs them).
 */
export const fmaAccumulators = { 'fma-128': 10, 'fma-256': 20 } as const

/** Added to every lane by every multiply-add: a power of two, so that the sums are exact. */
export const fmaProduct = 2 ** -10

/** Bytes copied; far more than any cache holds. */
export const copyBytes = 128 * 2 ** 20

/** Seed of the copied numbers. */
export const copySeed = 4

const comparedWords = 1024

export const limitFamily: CaseFamily<LimitCase> = {
  kind: 'limit',
  cases: [
    { kind: 'limit', name: 'limit/fma-128', loop: 'fma-128' },
    { kind: 'limit', name: 'limit/fma-256', loop: 'fma-256' },
    { kind: 'limit', name: 'limit/copy', loop: 'copy' },
  ],
  checks: [],
  tolerance: 0,
  work: ({ loop }) =>
    loop === 'copy'
      ? { flops: 0, bytes: 2 * copyBytes }
      : { flops: 2 * 4 * fmaAccumulators[loop] * fmaIterations, bytes: 0 },
  checkedIndices: ({ loop }) =>
    loop === 'copy' ? Array.from({ length: comparedWords }, (_, index) => index) : undefined,
  expected: ({ loop }) =>
    loop === 'copy'
      ? Float64Array.from(uniformInput(comparedWords, copySeed))
      : new Float64Array(4 * fmaAccumulators[loop]).fill(fmaIterations * fmaProduct),
}
