/** A block of memory and the steps, first and last, between which it holds something. */
export interface Lifetime {
  readonly bytes: number
  readonly first: number
  readonly last: number
}

export interface MemoryPlan {
  /** Byte offset of each block. */
  readonly offsets: readonly number[]
  readonly totalBytes: number
  /** Most bytes that hold something at one step: no plan can take less. */
  readonly liveBytes: number
}

/**
 * Places blocks so that those alive at the same time do not overlap: the largest first, each at the lowest place where it
 * fits (greedy by size, as Pisarchyk & Lee 2020 found best for networks).
 */
export function planMemory(lifetimes: readonly Lifetime[], alignment: number): MemoryPlan {
  const align = (bytes: number) => Math.ceil(bytes / alignment) * alignment
  const order = lifetimes
    .map((_, i) => i)
    .sort((a, b) => lifetimes[b]!.bytes - lifetimes[a]!.bytes || lifetimes[a]!.first - lifetimes[b]!.first)
  const offsets = new Array<number>(lifetimes.length).fill(0)
  /** Blocks placed so far, by offset. */
  const placed: number[] = []
  let totalBytes = 0
  for (const index of order) {
    const { bytes, first, last } = lifetimes[index]!
    let best = -1
    let bestGap = Number.POSITIVE_INFINITY
    let end = 0
    for (const other of placed) {
      const { first: otherFirst, last: otherLast, bytes: otherBytes } = lifetimes[other]!
      if (otherFirst > last || otherLast < first) continue
      const gap = offsets[other]! - end
      if (gap >= align(bytes) && gap < bestGap) {
        best = end
        bestGap = gap
      }
      end = Math.max(end, offsets[other]! + align(otherBytes))
    }
    const offset = best < 0 ? end : best
    offsets[index] = offset
    totalBytes = Math.max(totalBytes, offset + align(bytes))
    insertByOffset(placed, index, offsets)
  }
  return { offsets, totalBytes, liveBytes: liveBytes(lifetimes, align) }
}

function insertByOffset(placed: number[], index: number, offsets: readonly number[]): void {
  let low = 0
  let high = placed.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (offsets[placed[middle]!]! <= offsets[index]!) low = middle + 1
    else high = middle
  }
  placed.splice(low, 0, index)
}

function liveBytes(lifetimes: readonly Lifetime[], align: (bytes: number) => number): number {
  const changes = new Map<number, number>()
  const change = (step: number, bytes: number) => changes.set(step, (changes.get(step) ?? 0) + bytes)
  for (const { bytes, first, last } of lifetimes) {
    change(first, align(bytes))
    change(last + 1, -align(bytes))
  }
  let live = 0
  let most = 0
  for (const [, bytes] of [...changes].sort(([a], [b]) => a - b)) {
    live += bytes
    most = Math.max(most, live)
  }
  return most
}
