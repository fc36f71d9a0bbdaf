import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter } from './bytes.ts'

const written = (write: (writer: ByteWriter) => void): number[] => {
  const writer = new ByteWriter(1)
  write(writer)
  return [...writer.toBytes()]
}

/** LEB128 as the specification defines it, read back. */
function decode(bytes: readonly number[], signed: boolean): bigint {
  let [value, shift] = [0n, 0n]
  for (const byte of bytes) {
    value |= BigInt(byte & 0x7f) << shift
    shift += 7n
  }
  return signed && (bytes.at(-1)! & 0x40) !== 0 ? value - (1n << shift) : value
}

/** Bytes of the shortest encoding: 7 bits each. */
function shortest(value: bigint, signed: boolean): number {
  let bytes = 1
  while (signed ? BigInt.asIntN(7 * bytes, value) !== value : BigInt.asUintN(7 * bytes, value) !== value) bytes++
  return bytes
}

function checkEncoding(bytes: readonly number[], value: bigint, signed: boolean): void {
  expect(decode(bytes, signed)).toBe(value)
  expect(bytes.length).toBe(shortest(value, signed))
  expect(bytes.every((byte, i) => byte >= 0x80 === i < bytes.length - 1)).toBe(true)
}

describe('ByteWriter', () => {
  it('writes unsigned LEB128', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (value) => {
        checkEncoding(
          written((writer) => writer.unsigned(value)),
          BigInt(value),
          false,
        )
      }),
    )
  })

  it('writes signed LEB128 of 32 bits', () => {
    fc.assert(
      fc.property(fc.integer({ min: -0x80000000, max: 0x7fffffff }), (value) => {
        checkEncoding(
          written((writer) => writer.signed32(value)),
          BigInt(value),
          true,
        )
      }),
    )
    expect(written((writer) => writer.signed32(0xffffffff))).toEqual([0x7f])
  })

  it('writes signed LEB128 of 64 bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (value) => {
        checkEncoding(
          written((writer) => writer.signed64(value)),
          value,
          true,
        )
      }),
    )
    expect(written((writer) => writer.signed64((1n << 64n) - 1n))).toEqual([0x7f])
  })

  it('refuses values out of range', () => {
    for (const value of [-1, 2 ** 32, 0.5, Number.NaN])
      expect(() => written((writer) => writer.unsigned(value))).toThrow(/unsigned/)
    for (const value of [-(2 ** 31) - 1, 2 ** 32, 0.5])
      expect(() => written((writer) => writer.signed32(value))).toThrow(/32-bit/)
    expect(() => written((writer) => writer.signed64(1n << 64n))).toThrow(/64-bit/)
  })

  it('writes floats little endian and names with their length', () => {
    expect(written((writer) => writer.float32(1))).toEqual([0, 0, 0x80, 0x3f])
    expect(written((writer) => writer.float64(-2))).toEqual([0, 0, 0, 0, 0, 0, 0, 0xc0])
    expect(written((writer) => writer.name('é'))).toEqual([2, 0xc3, 0xa9])
  })

  it('grows as needed', () => {
    const values = Array.from({ length: 1000 }, (_, i) => i % 251)
    expect(written((writer) => writer.bytes(values))).toEqual(values)
  })
})
