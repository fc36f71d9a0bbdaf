import { TesseraError } from '@tessera/core'
import { mutate } from './mutate.ts'
import { createSource } from './random.ts'
import type { FuzzTarget } from './target.ts'

export interface FuzzOptions {
  readonly cases: number
  readonly seconds: number
  readonly seed: number
}

/** An input that a parser did not take as it should. */
export interface Finding {
  readonly target: string
  readonly input: Uint8Array
  readonly problem: string
}

/** In milliseconds; an honest parser of a file of some kilobytes needs a hundredth of it, on a busy machine too. */
const slowest = 5000

/** Bytes that reading a file of some kilobytes may add to the process. */
const mostMemory = 512 * 1024 * 1024

/** What is wrong with how a parser took an input; `undefined` when it gave a value or a `TesseraError`. */
export async function judge(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  const before = process.memoryUsage.rss()
  const start = performance.now()
  try {
    await target.parse(input)
  } catch (error) {
    if (!(error instanceof TesseraError)) {
      return `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}, not a TesseraError`
    }
    if (error.message.length > 4000) return `threw a message of ${error.message.length} characters`
  }
  const milliseconds = performance.now() - start
  if (milliseconds > slowest) return `took ${milliseconds.toFixed(0)} ms`
  const grown = process.memoryUsage.rss() - before
  return grown > mostMemory ? `took ${(grown / 2 ** 20).toFixed(0)} MiB of memory` : undefined
}

/** Feeds damaged files to a parser, until one is taken wrongly or the bounds are reached. */
export async function fuzz(
  target: FuzzTarget,
  { cases, seconds, seed }: FuzzOptions,
): Promise<{ readonly cases: number; readonly finding?: Finding }> {
  const seeds = await target.seeds()
  for (const input of seeds) {
    const problem = await judge(target, input)
    if (problem) return { cases: 0, finding: { target: target.name, input, problem } }
  }
  const source = createSource(seed)
  const end = performance.now() + 1000 * seconds
  let count = 0
  while (count < cases && performance.now() < end) {
    const input = mutate(seeds, target.dictionary ?? [], source)
    count++
    const problem = await judge(target, input)
    if (problem) return { cases: count, finding: { target: target.name, input, problem } }
  }
  return { cases: count }
}
