/** The constants of Philox4x32 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2). */
const multiplier0 = 0xd2511f53
const multiplier1 = 0xcd9e8d57
const weyl0 = 0x9e3779b9
const weyl1 = 0xbb67ae85
const rounds = 10

/**
 * The counter-based generator Philox4x32-10: four random 32-bit numbers that depend on nothing but the counter and key.
 *
 * @param counter four 32-bit numbers
 * @param key two 32-bit numbers
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [a, b, c, d] = counter
  let [key0, key1] = key
  for (let round = 0; round < rounds; round++) {
    const high0 = multiplyHigh(multiplier0, a)
    const high1 = multiplyHigh(multiplier1, c)
    const low0 = Math.imul(multiplier0, a)
    const low1 = Math.imul(multiplier1, c)
    a = (high1 ^ b ^ key0) >>> 0
    b = low1 >>> 0
    c = (high0 ^ d ^ key1) >>> 0
    d = low0 >>> 0
    key0 = (key0 + weyl0) >>> 0
    key1 = (key1 + weyl1) >>> 0
  }
  return [a, b, c, d]
}

/**
 * A stream of random numbers that is a pure function of a seed and a stream number: stream 7 of seed 1 is the same
 * whatever was drawn before, so work can resume at any step.
 */
export class CounterRandom {
  readonly #key: readonly [number, number]
  readonly #stream: readonly [number, number]
  #block = 0
  #values: readonly number[] = []
  #used = 0

  /** @param seed and @param stream are safe integers from 0 up */
  constructor(seed: number, stream = 0) {
    this.#key = halves('seed', seed)
    this.#stream = halves('stream', stream)
  }

  /** The next 32 random bits, as an integer from 0 to 2^32 - 1. */
  nextBits(): number {
    if (this.#used === this.#values.length) {
      this.#values = philox([...halves('block', this.#block++), ...this.#stream], this.#key)
      this.#used = 0
    }
    return this.#values[this.#used++]!
  }

  /** The next number, uniform in [0, 1) with 53 random bits. */
  nextFraction(): number {
    const high = this.nextBits() >>> 5
    const low = this.nextBits() >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }
}

function halves(what: string, value: number): [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`random numbers: the ${what} must be an integer from 0 to 2^53 - 1, not ${value}.`)
  }
  return [value >>> 0, Math.floor(value / 2 ** 32)]
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const other = aLow * bHigh + (middle & 0xffff)
  return aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536)
}
