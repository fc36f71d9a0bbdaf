/** Bytes to which every address and size is rounded: a cache line, and more than any vector needs. */
export const granuleBytes = 64

/** Free lists of each power of two. */
const subdivisions = 16
const subdivisionBits = 4
/** Blocks of a list that are looked at before the next larger list is taken. */
const candidates = 8

/** A run of granules; blocks tile the whole range, and no two free ones touch. */
interface Block {
  start: number
  size: number
  free: boolean
  /** Neighbours in memory. */
  before: Block | undefined
  after: Block | undefined
  /** Neighbours in the free list. */
  previous: Block | undefined
  next: Block | undefined
}

/**
 * Hands out ranges of a linear memory: two-level segregated fit (Masmano, Ripoll, Crespo and Real, "TLSF: a new dynamic memory
 * allocator for real-time systems", 2004). Free blocks stand in lists by size, 16 for each power of two, with a bit for every
 * list that is not empty: taking, giving back and joining neighbours need a constant number of steps.
 *
 * @example
 * const allocator = new Allocator(64, 65536)
 * const address = allocator.allocate(100) // takes 128 bytes
 * allocator.free(address!)
 */
export class Allocator {
  readonly #lists: (Block | undefined)[] = []
  /** Bit `level` is set when a list of that power of two has a block; `#secondLevel[level]` tells which. */
  #firstLevel = 0
  readonly #secondLevel: number[] = new Array<number>(32).fill(0)
  readonly #used = new Map<number, Block>()
  #last: Block | undefined
  #end: number
  #usedBytes = 0
  #peakBytes = 0

  /** Manages the bytes from `start` to `end`, rounded inwards to whole granules. */
  constructor(start: number, end: number) {
    this.#end = Math.ceil(start / granuleBytes)
    this.extend(end)
  }

  /** Bytes handed out, rounded to granules. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** The most bytes handed out at a time. */
  get peakBytes(): number {
    return this.#peakBytes
  }

  /** The end of the managed range. */
  get end(): number {
    return this.#end * granuleBytes
  }

  /** Bytes that `extend` must add so that `allocate(bytes)` cannot fail. */
  shortfall(bytes: number): number {
    const tail = this.#last?.free ? this.#last.size : 0
    return Math.max(0, granules(bytes) - tail) * granuleBytes
  }

  /** Moves the end of the managed range up. */
  extend(end: number): void {
    const limit = Math.floor(end / granuleBytes)
    if (limit <= this.#end) return
    const block: Block = {
      start: this.#end,
      size: limit - this.#end,
      free: false,
      before: this.#last,
      after: undefined,
      previous: undefined,
      next: undefined,
    }
    if (this.#last) this.#last.after = block
    this.#last = block
    this.#end = limit
    this.#release(block)
  }

  /** The address of at least `bytes` free bytes, or `undefined` when no free block is large enough. */
  allocate(bytes: number): number | undefined {
    const size = granules(bytes)
    const block = this.#find(size)
    if (!block) return undefined
    this.#unlink(block)
    block.free = false
    if (block.size > size) this.#split(block, size)
    this.#used.set(block.start, block)
    this.#usedBytes += size * granuleBytes
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes)
    return block.start * granuleBytes
  }

  /** Takes back what `allocate` gave; false when nothing in use starts at this address. */
  free(address: number): boolean {
    const start = address / granuleBytes
    const block = this.#used.get(start)
    if (!block) return false
    this.#used.delete(start)
    this.#usedBytes -= block.size * granuleBytes
    this.#release(block)
    return true
  }

  #find(size: number): Block | undefined {
    const index = listOf(size)
    let block = this.#lists[index]
    for (let tries = 0; block && tries < candidates; tries++) {
      if (block.size >= size) return block
      block = block.next
    }
    // Every block of a later list is large enough.
    const level = index >> subdivisionBits
    const later = this.#secondLevel[level]! & (-2 << (index & (subdivisions - 1)))
    if (later !== 0) return this.#lists[(level << subdivisionBits) + lowestBit(later)]
    const levels = level < 31 ? this.#firstLevel & (-2 << level) : 0
    if (levels === 0) return undefined
    const next = lowestBit(levels)
    return this.#lists[(next << subdivisionBits) + lowestBit(this.#secondLevel[next]!)]
  }

  /** Cuts a block that is in use to `size` granules and frees the rest. */
  #split(block: Block, size: number): void {
    const rest: Block = {
      start: block.start + size,
      size: block.size - size,
      free: false,
      before: block,
      after: block.after,
      previous: undefined,
      next: undefined,
    }
    if (block.after) block.after.before = rest
    else this.#last = rest
    block.after = rest
    block.size = size
    this.#link(rest)
  }

  /** Frees a block, joined with its free neighbours. */
  #release(block: Block): void {
    let joined = block
    const { before } = block
    if (before?.free) {
      this.#unlink(before)
      this.#absorb(before)
      joined = before
    }
    if (joined.after?.free) {
      this.#unlink(joined.after)
      this.#absorb(joined)
    }
    this.#link(joined)
  }

  /** Adds the block after this one to it. */
  #absorb(block: Block): void {
    const after = block.after!
    block.size += after.size
    block.after = after.after
    if (after.after) after.after.before = block
    else this.#last = block
  }

  #link(block: Block): void {
    const index = listOf(block.size)
    const head = this.#lists[index]
    block.free = true
    block.previous = undefined
    block.next = head
    if (head) head.previous = block
    this.#lists[index] = block
    const level = index >> subdivisionBits
    this.#firstLevel |= 1 << level
    this.#secondLevel[level]! |= 1 << (index & (subdivisions - 1))
  }

  #unlink(block: Block): void {
    block.free = false
    if (block.next) block.next.previous = block.previous
    if (block.previous) {
      block.previous.next = block.next
      return
    }
    const index = listOf(block.size)
    this.#lists[index] = block.next
    if (block.next) return
    const level = index >> subdivisionBits
    this.#secondLevel[level]! &= ~(1 << (index & (subdivisions - 1)))
    if (this.#secondLevel[level] === 0) this.#firstLevel &= ~(1 << level)
  }
}

const granules = (bytes: number): number => Math.max(1, Math.ceil(bytes / granuleBytes))
const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits)

/** The list of blocks of a size: one for each size below 16 granules, then 16 for each power of two. */
function listOf(size: number): number {
  if (size < subdivisions) return size
  const power = 31 - Math.clz32(size)
  const within = (size >> (power - subdivisionBits)) & (subdivisions - 1)
  return ((power - subdivisionBits + 1) << subdivisionBits) + within
}
