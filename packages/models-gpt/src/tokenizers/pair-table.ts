/** Numbers pairs of token ids in the order in which they were added: a hash table over integers, without objects. */
export class PairTable {
  #left = new Int32Array(1024)
  #right = new Int32Array(1024)
  /** Open addressing: each slot holds the number of a pair plus one, or 0. Twice as many slots as pairs at least. */
  #slots = new Int32Array(2048)
  #size = 0

  get size(): number {
    return this.#size
  }

  left(index: number): number {
    return this.#left[index]!
  }

  right(index: number): number {
    return this.#right[index]!
  }

  /** The number of a pair, or -1 when it was never added. */
  find(left: number, right: number): number {
    return this.#slots[this.#slotOf(left, right)]! - 1
  }

  /** The number of a pair, which is added when it is new. */
  add(left: number, right: number): number {
    let slot = this.#slotOf(left, right)
    if (this.#slots[slot] !== 0) return this.#slots[slot]! - 1
    if (this.#size === this.#left.length) {
      this.#grow()
      slot = this.#slotOf(left, right)
    }
    const index = this.#size++
    this.#left[index] = left
    this.#right[index] = right
    this.#slots[slot] = index + 1
    return index
  }

  #slotOf(left: number, right: number): number {
    const mask = this.#slots.length - 1
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
    let slot = (hash ^ (hash >>> 13)) & mask
    for (let index = this.#slots[slot]! - 1; index >= 0; index = this.#slots[slot]! - 1) {
      if (this.#left[index] === left && this.#right[index] === right) break
      slot = (slot + 1) & mask
    }
    return slot
  }

  #grow(): void {
    const capacity = 2 * this.#left.length
    const left = new Int32Array(capacity)
    const right = new Int32Array(capacity)
    left.set(this.#left)
    right.set(this.#right)
    this.#left = left
    this.#right = right
    this.#slots = new Int32Array(2 * capacity)
    for (let index = 0; index < this.#size; index++) {
      this.#slots[this.#slotOf(left[index]!, right[index]!)] = index + 1
    }
  }
}
