/** How far the two words are rotated in each group of four rounds. */
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const
const parity = 0x1bd11bda

/**
 * Threefry-2x32 with 20 rounds (Salmon et al. 2011): 64 random bits that depend on a key and a counter alone. Four
 * words of 32 bits in, two out.
 */
export function threefry(key: readonly [number, number], counter: readonly [number, number]): [number, number] {
  const keys = [key[0], key[1], (parity ^ key[0] ^ key[1]) | 0]
  let a = (counter[0] + keys[0]!) | 0
  let b = (counter[1] + keys[1]!) | 0
  for (let group = 0; group < 5; group++) {
    for (const bits of rotations[group % 2]!) {
      a = (a + b) | 0
      b = ((b << bits) | (b >>> (32 - bits))) ^ a
    }
    a = (a + keys[(group + 1) % 3]!) | 0
    b = (b + keys[(group + 2) % 3]! + group + 1) | 0
  }
  return [a >>> 0, b >>> 0]
}

/**
 * A number on [0, 1), a multiple of 2^−53, that depends on the seed, the sample and the position in its text alone: the
 * same whatever was drawn before, whatever the backend.
 *
 * @param seed integer from 0 to 2^53 − 1
 */
export function uniformAt(seed: number, sample: number, position: number): number {
  const [high, low] = threefry([Math.floor(seed / 2 ** 32), (seed % 2 ** 32) | 0], [sample, position])
  return ((high >>> 6) * 2 ** 27 + (low >>> 5)) / 2 ** 53
}
