import { Heap } from './heap.ts'
import { PairTable } from './pair-table.ts'

/** Candidates carry rank and place in one number, so that the smallest is the best rank, leftmost first. */
const placeRange = 2 ** 32

/** Which pairs of tokens join into which token, and in what order of preference. */
export class MergeRules {
  readonly #pairs = new PairTable()
  readonly #ranks: number[] = []
  readonly #merged: number[] = []
  readonly #candidates = new Heap<number>((a, b) => a < b)

  /** Adds a rule; of two rules for the same pair the first stays. Lower ranks go first. */
  add(left: number, right: number, rank: number, merged: number): void {
    const index = this.#pairs.add(left, right)
    if (index < this.#ranks.length) return
    this.#ranks.push(rank)
    this.#merged.push(merged)
  }

  /**
   * Applies the rules to the first `length` symbols, in place, until none fits: always the rule of the lowest rank, at
   * the leftmost place where it fits. O(n log n).
   *
   * @param isDropped with BPE-dropout, asked for each possible merge at each step (Provilkov et al. 2020, algorithm 1)
   * @returns how many symbols are left, at the front of `symbols`
   */
  apply(symbols: Int32Array, length: number, isDropped?: () => boolean): number {
    if (length < 2) return length
    const next = new Int32Array(length)
    const previous = new Int32Array(length)
    const candidates = this.#candidates
    candidates.clear()
    for (let place = 0; place < length; place++) {
      next[place] = place + 1
      previous[place] = place - 1
      if (place + 1 < length) this.#offer(symbols[place]!, symbols[place + 1]!, place)
    }
    const dropped: number[] = []
    for (let candidate = candidates.pop(); candidate !== undefined; candidate = candidates.pop()) {
      const rank = Math.floor(candidate / placeRange)
      const place = candidate - rank * placeRange
      const right = next[place]!
      // The neighbours may have changed since the candidate was offered; a symbol that was taken in is -1.
      const rule = right < length ? this.#pairs.find(symbols[place]!, symbols[right]!) : -1
      if (rule < 0 || this.#ranks[rule] !== rank) continue
      if (isDropped?.()) {
        dropped.push(candidate)
        continue
      }
      symbols[place] = this.#merged[rule]!
      symbols[right] = -1
      const after = next[right]!
      next[place] = after
      if (after < length) {
        previous[after] = place
        this.#offer(symbols[place]!, symbols[after]!, place)
      }
      const before = previous[place]!
      if (before >= 0) this.#offer(symbols[before]!, symbols[place]!, before)
      // What was dropped at this step may be merged at the next.
      while (dropped.length > 0) candidates.push(dropped.pop()!)
    }
    return compact(symbols, next, length)
  }

  #offer(left: number, right: number, place: number): void {
    const rule = this.#pairs.find(left, right)
    if (rule >= 0) this.#candidates.push(this.#ranks[rule]! * placeRange + place)
  }
}

function compact(symbols: Int32Array, next: Int32Array, length: number): number {
  let kept = 0
  for (let place = 0; place < length; place = next[place]!) symbols[kept++] = symbols[place]!
  return kept
}
