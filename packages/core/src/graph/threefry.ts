import { add, binary, broadcastTo, constant, linearIndex, reshape, slice } from './build.ts'
import type { Node } from './node.ts'
import type { Shape } from './shape.ts'

/**
 * Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). Written in
 * u32 primitives, so every backend computes the same bits on any number of threads.
 */
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const
const parity = 0x1bd11bda

function rotateLeft(x: Node, by: number): Node {
  return binary('or', binary('shiftLeft', x, constant(by, 'u32')), binary('shiftRight', x, constant(32 - by, 'u32')))
}

/** Encrypts the counter `(high, low)` under a key of two words; all u32 of shapes that broadcast. */
export function threefry(key: readonly [Node, Node], high: Node, low: Node): [Node, Node] {
  const schedule = [key[0], key[1], binary('xor', binary('xor', key[0], key[1]), constant(parity, 'u32'))] as const
  let x0 = add(high, schedule[0])
  let x1 = add(low, schedule[1])
  for (let round = 0; round < 20; round++) {
    x0 = add(x0, x1)
    x1 = binary('xor', rotateLeft(x1, rotations[(Math.floor(round / 4) % 2) as 0 | 1][round % 4]!), x0)
    if (round % 4 === 3) {
      const injection = (round + 1) / 4
      x0 = add(x0, schedule[(injection % 3) as 0 | 1 | 2])
      x1 = add(x1, add(schedule[((injection + 1) % 3) as 0 | 1 | 2], constant(injection, 'u32')))
    }
  }
  return [x0, x1]
}

/** The same for numbers. */
function threefryWords(key: readonly [number, number], high: number, low: number): [number, number] {
  const schedule = [key[0], key[1], key[0] ^ key[1] ^ parity] as const
  let x0 = (high + schedule[0]) | 0
  let x1 = (low + schedule[1]) | 0
  for (let round = 0; round < 20; round++) {
    const by = rotations[(Math.floor(round / 4) % 2) as 0 | 1][round % 4]!
    x0 = (x0 + x1) | 0
    x1 = ((x1 << by) | (x1 >>> (32 - by))) ^ x0
    if (round % 4 === 3) {
      const injection = (round + 1) / 4
      x0 = (x0 + schedule[(injection % 3) as 0 | 1 | 2]) | 0
      x1 = (x1 + schedule[((injection + 1) % 3) as 0 | 1 | 2] + injection) | 0
    }
  }
  return [x0, x1]
}

/** Word `i` of a key (u32[2]) as a scalar. */
function word(key: Node, i: 0 | 1): Node {
  return reshape(slice(key, [i], [1]), [])
}

/** 32 random bits for each element: both words of the block at the element's position, combined by xor. */
export function threefryBits(key: Node, shape: Shape): Node {
  const low = linearIndex(shape, 'u32')
  const high = broadcastTo(constant(0, 'u32'), shape)
  const [x0, x1] = threefry([word(key, 0), word(key, 1)], high, low)
  return binary('xor', x0, x1)
}

/** `count` keys `[count, 2]` derived from one; each is independent of the others and of the parent's own numbers. */
export function splitKeyBits(key: Node, count: number): Node {
  const index = reshape(linearIndex([count], 'u32'), [count, 1])
  const half = reshape(linearIndex([2], 'u32'), [1, 2])
  // A high word of 1 keeps these counters apart from those of threefryBits.
  const [x0, x1] = threefry([word(key, 0), word(key, 1)], constant(1, 'u32'), add(add(index, index), half))
  return binary('xor', x0, x1)
}

/** The same for a key whose words are known: `count` pairs of words. */
export function splitKeyWords(key: readonly [number, number], count: number): Uint32Array[] {
  return Array.from({ length: count }, (_, i) => {
    const words = [2 * i, 2 * i + 1].map((low) => {
      const [x0, x1] = threefryWords(key, 1, low)
      return x0 ^ x1
    })
    return new Uint32Array(words)
  })
}
