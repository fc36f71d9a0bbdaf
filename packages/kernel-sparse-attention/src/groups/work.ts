import { checkPattern } from '../patterns/check.ts'
import type { SparsePattern } from '../patterns/pattern.ts'
import { type KeyRun, passesOf, type QueryGroup, unbounded } from './groups.ts'

export interface PatternWork {
  /** Pairs of a query and a key that it sees. */
  readonly pairs: number
  /** The same of causal dense attention. */
  readonly densePairs: number
}

/**
 * How many scores a pattern has, counted and not estimated: each costs as many multiplications as queries and values are wide.
 *
 * @throws TesseraError `SPARSE_PATTERN` for a pattern that does not fit the length
 *
 * @example
 * ```ts
 * import { patternWork, strided } from '@tessera/kernel-sparse-attention'
 * const { pairs, densePairs } = patternWork(strided(32), 1024)
 * console.log(pairs, densePairs) // 48144 524800
 * ```
 */
export function patternWork(pattern: SparsePattern, length: number): PatternWork {
  checkPattern(pattern, length)
  const pairs = passesOf(pattern, length, 256)
    .flat()
    .reduce((sum, group) => sum + group.runs.reduce((total, run) => total + pairsOf(group, run), 0), 0)
  return { pairs, densePairs: (length * (length + 1)) / 2 }
}

const counted = new WeakMap<SparsePattern, Map<number, number>>()

/** Pairs of a query and a key in a head, by the mean of the patterns; counted once for each pattern and length. */
export function meanPairs(patterns: readonly SparsePattern[], length: number): number {
  const pairs = (pattern: SparsePattern): number => {
    const known = counted.get(pattern) ?? new Map<number, number>()
    counted.set(pattern, known)
    const count = known.get(length) ?? patternWork(pattern, length).pairs
    known.set(length, count)
    return count
  }
  return patterns.reduce((sum, pattern) => sum + pairs(pattern), 0) / patterns.length
}

/** Pairs of one group and one run. */
export function pairsOf({ start, step, count }: QueryGroup, run: KeyRun): number {
  if (run.lowest === -unbounded && run.highest === unbounded) return count * run.count * run.repeats
  let pairs = 0
  for (let i = 0; i < count; i++) {
    const query = start + i * step
    for (let repeat = 0; repeat < run.repeats; repeat++) {
      const first = run.start + repeat * run.repeatStep
      const from = Math.max(0, Math.ceil((query + run.lowest - first) / run.step))
      const to = Math.min(run.count - 1, Math.floor((query + run.highest - first) / run.step))
      pairs += Math.max(0, to - from + 1)
    }
  }
  return pairs
}
