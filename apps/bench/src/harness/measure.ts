import type { PreparedCase } from '../implementations/implementation.ts'
import type { MeasureOptions } from './protocol.ts'

/**
 * Times of one run in milliseconds, one a sample. Runs that turn out too short for a sample are repeated in greater
 * number and do not count. `now` reads a clock in milliseconds.
 */
export async function measure(
  prepared: PreparedCase,
  { warmUpMs, sampleMs, samples, turnMs }: MeasureOptions,
  now: () => number = () => performance.now(),
): Promise<number[]> {
  const start = now()
  while (now() - start < warmUpMs) await timeRuns(prepared, 1, now)
  let runs = 1
  const times: number[] = []
  while (times.length === 0 || (times.length < samples && now() - start < turnMs)) {
    const elapsed = await timeRuns(prepared, runs, now)
    if (elapsed >= sampleMs) times.push(elapsed / runs)
    // Aim a fifth too high, so that the next attempt rarely falls short again.
    else runs = Math.max(runs + 1, Math.ceil((1.2 * runs * sampleMs) / Math.max(elapsed, shortestInterval)))
  }
  return times
}

/** Guards the division above against a clock that has not moved, in milliseconds. */
const shortestInterval = 1e-3

async function timeRuns(prepared: PreparedCase, runs: number, now: () => number): Promise<number> {
  const start = now()
  for (let index = 0; index < runs; index++) {
    const pending = prepared.run()
    // A synchronous implementation is not charged for a turn of the event loop.
    if (pending) await pending
  }
  await prepared.settle?.()
  return now() - start
}
