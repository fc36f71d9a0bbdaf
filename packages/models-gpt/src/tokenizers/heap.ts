/** A priority queue (binary heap): `pop` gives the item that comes before all others. */
export class Heap<Item> {
  readonly #items: Item[] = []
  readonly #comesBefore: (a: Item, b: Item) => boolean

  constructor(comesBefore: (a: Item, b: Item) => boolean) {
    this.#comesBefore = comesBefore
  }

  get size(): number {
    return this.#items.length
  }

  clear(): void {
    this.#items.length = 0
  }

  push(item: Item): void {
    const items = this.#items
    let hole = items.length
    items.push(item)
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if (!this.#comesBefore(item, items[parent]!)) break
      items[hole] = items[parent]!
      hole = parent
    }
    items[hole] = item
  }

  pop(): Item | undefined {
    const items = this.#items
    const top = items[0]
    const last = items.pop()
    if (items.length === 0 || last === undefined) return top
    let hole = 0
    for (;;) {
      let child = 2 * hole + 1
      if (child >= items.length) break
      if (child + 1 < items.length && this.#comesBefore(items[child + 1]!, items[child]!)) child++
      if (!this.#comesBefore(items[child]!, last)) break
      items[hole] = items[child]!
      hole = child
    }
    items[hole] = last
    return top
  }
}
