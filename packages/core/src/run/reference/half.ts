/**
 * Conversions between numbers and the 16-bit float formats, which are stored as their bits. Encoding rounds the float64
 * value once, to the nearest, ties to even; every NaN becomes the quiet NaN.
 */

interface BinaryFormat {
  readonly fractionBits: number
  readonly bias: number
}

/** IEEE 754 binary16: 5 exponent bits, 10 fraction bits. */
const binary16: BinaryFormat = { fractionBits: 10, bias: 15 }
/** The upper half of binary32: 8 exponent bits, 7 fraction bits. */
const brain16: BinaryFormat = { fractionBits: 7, bias: 127 }

const float64 = new Float64Array(1)
const float64Words = new Uint32Array(float64.buffer)
const float32 = new Float32Array(1)
const float32Bits = new Uint32Array(float32.buffer)

/** Rounds 0 ≤ x < 2^52 to an integer, ties to even: adding 2^52 leaves no bits for a fraction. */
const roundSmall = (x: number): number => x + 2 ** 52 - 2 ** 52

function encode(value: number, { fractionBits, bias }: BinaryFormat): number {
  const infinity = (2 * bias + 1) << fractionBits
  if (Number.isNaN(value)) return infinity | (1 << (fractionBits - 1))
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const magnitude = Math.abs(value)
  if (magnitude === Number.POSITIVE_INFINITY) return sign | infinity
  float64[0] = magnitude
  const exponent = Math.max((float64Words[1]! >>> 20) - 1023, 1 - bias)
  const significand = roundSmall(magnitude / 2 ** (exponent - fractionBits))
  // A significand below 2^fractionBits is a subnormal number and takes one off the biased exponent, as it should; one
  // that rounded up to 2^(fractionBits + 1) carries into the exponent.
  const bits = ((exponent + bias) << fractionBits) + significand - 2 ** fractionBits
  return sign | Math.min(bits, infinity)
}

/** The 16 bits of the nearest IEEE half-precision number; values from 65520 on become infinite. */
export const encodeF16 = (value: number): number => encode(value, binary16)
/** The 16 bits of the nearest bfloat16 number. */
export const encodeBf16 = (value: number): number => encode(value, brain16)

/** The number that 16 bits mean in IEEE half precision. */
export function decodeF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** The number that 16 bits mean in bfloat16. */
export function decodeBf16(bits: number): number {
  float32Bits[0] = bits << 16
  return float32[0]!
}
