import type { Random } from '../random.ts'

/**
 * What a property is drawn from: integers in ranges, the low end standing for the simplest case. A whole case is then a list of such
 * integers, and shrinking a failure needs no knowledge of what is made of them (as in Hypothesis, MacIver and Donaldson 2020).
 */
export interface Choices {
  /** Both ends included. */
  integer(low: number, high: number): number
  /** The first one is the simplest. */
  pick<T>(options: readonly T[]): T
}

function choicesFrom(next: (count: number) => number): Choices {
  const integer = (low: number, high: number) => low + next(high - low + 1)
  return { integer, pick: (options) => options[integer(0, options.length - 1)]! }
}

/** Random choices, and the list of what was chosen. */
export function randomChoices(random: Random): Choices & { readonly taken: readonly number[] } {
  const taken: number[] = []
  const choices = choicesFrom((count) => {
    taken.push(random.integer(0, count - 1))
    return taken.at(-1)!
  })
  return { ...choices, taken }
}

/** The choices of a list again. What the list lacks is as simple as can be; what is out of range is held inside. */
export function repeatChoices(list: readonly number[]): Choices {
  let position = 0
  return choicesFrom((count) => Math.min(list[position++] ?? 0, count - 1))
}

/** Simpler lists to try, boldest first: shorter ones, then ones with a smaller number. */
function* simpler(list: readonly number[]): Generator<readonly number[]> {
  for (let width = list.length; width > 0; width = Math.floor(width / 2))
    for (let start = 0; start + width <= list.length; start += width)
      yield [...list.slice(0, start), ...list.slice(start + width)]
  for (const [i, value] of list.entries())
    for (const smaller of new Set([0, Math.floor(value / 2), value - 1]))
      if (smaller >= 0 && smaller < value) yield [...list.slice(0, i), smaller, ...list.slice(i + 1)]
}

/** Most attempts that shrinking makes. */
const mostAttempts = 200

/** The simplest list found for which a property still fails. */
export async function shrink(
  list: readonly number[],
  fails: (list: readonly number[]) => Promise<boolean>,
): Promise<readonly number[]> {
  let best = list
  let attempts = 0
  for (let improved = true; improved; ) {
    improved = false
    for (const candidate of simpler(best)) {
      if (attempts++ === mostAttempts) return best
      if (!(await fails(candidate))) continue
      best = candidate
      improved = true
      break
    }
  }
  return best
}
