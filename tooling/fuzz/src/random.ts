/** Whole numbers that follow from a seed: a run can be repeated. */
export interface Source {
  /** From 0 to `limit` − 1. */
  below(limit: number): number
  pick<Item>(items: ArrayLike<Item>): Item
}

/** SplitMix32 (Steele, Lea & Flood 2014, with 32-bit constants): quick, and good enough to choose mutations. */
export function createSource(seed: number): Source {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit)
  return { below, pick: (items) => items[below(items.length)]! }
}
