/** Uniform numbers on [0, 1), the same for the same seeds. */
export type HostRandom = () => number

/** A generator for the host: mulberry32 (Ettinger 2017), whose state is mixed from all the seeds. */
export function hostRandom(...seeds: readonly number[]): HostRandom {
  let state = 0x9e3779b9
  for (const seed of seeds) state = scramble(state ^ scramble((seed >>> 0) + 0x85ebca6b) ^ Math.floor(seed / 2 ** 32))
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The last step of murmur3: every bit of the input moves about half of the bits of the output. */
function scramble(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/** The numbers from 0 to `length` − 1 in random order (Durstenfeld 1964). */
export function permutation(length: number, random: HostRandom): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i)
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const moved = order[i]!
    order[i] = order[j]!
    order[j] = moved
  }
  return order
}
