import type { SparsePattern } from '../patterns/pattern.ts'
import { type KeyRun, passesOf } from './groups.ts'

/** The runs of keys that each position sees, all of them visible, as decoding takes them. */
export function runsByPosition(pattern: SparsePattern, length: number): KeyRun[][] {
  const found = Array.from({ length }, (): KeyRun[] => [])
  for (const { start, runs } of passesOf(pattern, length, 1).flat()) {
    for (const run of runs) {
      // Bounds belong to runs without repeats.
      const first = Math.max(0, Math.ceil((start + run.lowest - run.start) / run.step))
      const last = Math.min(run.count - 1, Math.floor((start + run.highest - run.start) / run.step))
      if (last >= first) found[start]!.push({ ...run, start: run.start + first * run.step, count: last - first + 1 })
    }
  }
  return found
}
