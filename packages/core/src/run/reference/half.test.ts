import { describe, expect, it } from 'vitest'
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from './half.ts'

/** The value of 16 bits, straight from the definition: sign, exponent, fraction. */
function meaningOf(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits
  const bias = 2 ** (exponentBits - 1) - 1
  const sign = bits >= 2 ** 15 ? -1 : 1
  const exponent = Math.floor((bits % 2 ** 15) / 2 ** fractionBits)
  const fraction = (bits % 2 ** fractionBits) / 2 ** fractionBits
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias)
}

describe.each([
  { name: 'f16', exponentBits: 5, encode: encodeF16, decode: decodeF16 },
  { name: 'bf16', exponentBits: 8, encode: encodeBf16, decode: decodeBf16 },
])('$name', ({ exponentBits, encode, decode }) => {
  const infinity = (2 ** exponentBits - 1) * 2 ** (15 - exponentBits)

  it('decodes all 65,536 patterns by the definition', () => {
    const wrong = []
    for (let bits = 0; bits < 65536; bits++)
      if (!Object.is(decode(bits), meaningOf(bits, exponentBits))) wrong.push(bits)
    expect(wrong).toEqual([])
  })

  it('encodes all 65,536 values to their own bits, NaN to the quiet NaN', () => {
    const wrong = []
    for (let bits = 0; bits < 65536; bits++) {
      const value = meaningOf(bits, exponentBits)
      const expected = Number.isNaN(value) ? infinity + 2 ** (14 - exponentBits) : bits
      if (encode(value) !== expected) wrong.push([bits, encode(value)])
    }
    expect(wrong).toEqual([])
  })

  it('rounds between any two neighbours to the nearer one, ties to the even one', () => {
    const wrong = []
    for (let bits = 0; bits < infinity; bits++) {
      const [low, high] = [meaningOf(bits, exponentBits), meaningOf(bits, exponentBits) + spacing(bits, exponentBits)]
      const middle = (low + high) / 2
      const nudge = (high - low) * 2 ** -30
      const even = bits % 2 === 0 ? bits : bits + 1
      for (const sign of [1, -1]) {
        const offset = sign < 0 ? 2 ** 15 : 0
        const cases: [number, number][] = [
          [middle - nudge, bits],
          [middle, even],
          [middle + nudge, bits + 1],
          [low + nudge, bits],
        ]
        for (const [value, expected] of cases) {
          if (encode(sign * value) !== expected + offset)
            wrong.push([sign * value, encode(sign * value), expected + offset])
        }
      }
    }
    expect(wrong.slice(0, 10)).toEqual([])
  })

  it('overflows to infinity and underflows to zero, with the sign', () => {
    expect([encode(1e300), encode(-1e300), encode(5e-324), encode(-5e-324)]).toEqual([
      infinity,
      infinity + 2 ** 15,
      0,
      2 ** 15,
    ])
    expect([encode(Number.POSITIVE_INFINITY), encode(Number.NEGATIVE_INFINITY)]).toEqual([infinity, infinity + 2 ** 15])
  })
})

/** Distance from a finite value to the next larger magnitude: the one after the largest would be infinite. */
function spacing(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits
  const exponent = Math.max(1, Math.floor(bits / 2 ** fractionBits))
  return 2 ** (exponent - (2 ** (exponentBits - 1) - 1) - fractionBits)
}

it('rounds float64 once: a value just above a tie is not taken for the tie', () => {
  // 1 + 2^-11 is a tie of f16; the bit at 2^-40 would be lost in f32.
  expect(encodeF16(1 + 2 ** -11)).toBe(0x3c00)
  expect(encodeF16(1 + 2 ** -11 + 2 ** -40)).toBe(0x3c01)
  expect(encodeBf16(1 + 2 ** -8 + 2 ** -40)).toBe(0x3f81)
})

it('knows well-known values', () => {
  expect([encodeF16(65504), encodeF16(65519.99), encodeF16(65520), encodeF16(-2)]).toEqual([
    0x7bff, 0x7bff, 0x7c00, 0xc000,
  ])
  expect([encodeBf16(1), encodeBf16(Math.PI), encodeBf16(-0)]).toEqual([0x3f80, 0x4049, 0x8000])
})
