/** A growing list of token ids. */
export class IdBuffer {
  #ids: Int32Array
  #length = 0

  constructor(expectedLength: number) {
    this.#ids = new Int32Array(Math.max(16, expectedLength))
  }

  append(ids: Int32Array): void {
    const { length } = ids
    this.#reserve(length)
    // A loop: words are short, and `set` with a view costs more than it saves.
    for (let index = 0; index < length; index++) this.#ids[this.#length + index] = ids[index]!
    this.#length += length
  }

  push(id: number): void {
    this.#reserve(1)
    this.#ids[this.#length++] = id
  }

  /** The ids so far, as an array of their own. */
  toArray(): Int32Array {
    return this.#ids.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#ids.length) return
    const grown = new Int32Array(Math.max(2 * this.#ids.length, this.#length + more))
    grown.set(this.#ids)
    this.#ids = grown
  }
}
