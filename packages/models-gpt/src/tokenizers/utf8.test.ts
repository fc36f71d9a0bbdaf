import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyText, wellFormedText } from './arbitrary-text.ts'
import { decodeUtf8, detachedCopy, encodeUtf8, findInvalidUtf8 } from './utf8.ts'

describe('encodeUtf8 and decodeUtf8', () => {
  it('restore every string, half surrogate pairs included', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(decodeUtf8(encodeUtf8(text))).toBe(text)
      }),
    )
    expect([...encodeUtf8('\ud800')]).toEqual([0xed, 0xa0, 0x80])
    expect(decodeUtf8(encodeUtf8('a\udfff\ud800😀\ufeff'))).toBe('a\udfff\ud800😀\ufeff')
  })

  it('agree with the platform on well-formed text and on bytes without surrogates', () => {
    fc.assert(
      fc.property(wellFormedText, (text) => {
        expect(encodeUtf8(text)).toEqual(new TextEncoder().encode(text))
      }),
    )
    const platform = new TextDecoder('utf-8', { ignoreBOM: true })
    const bytes = fc.uint8Array().map((list) => list.map((byte) => (byte === 0xed ? 0xee : byte)))
    fc.assert(
      fc.property(bytes, (list) => {
        expect(decodeUtf8(list)).toBe(platform.decode(list))
      }),
    )
  })
})

describe('findInvalidUtf8', () => {
  it('finds exactly what a strict decoder refuses, at the first byte that is not part of a character', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const isText = (bytes: Uint8Array) => {
      try {
        strict.decode(bytes)
        return true
      } catch {
        return false
      }
    }
    // Bytes on the borders of the classes in table 3-7 of the Unicode standard, so that every case occurs.
    const borders = [
      0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xee, 0xf0, 0xf1, 0xf4, 0xf5,
    ]
    const bytes = fc.array(fc.constantFrom(...borders), { maxLength: 6 }).map((list) => Uint8Array.from(list))
    fc.assert(
      fc.property(bytes, (list) => {
        const position = findInvalidUtf8(list)
        expect(position < 0).toBe(isText(list))
        if (position >= 0) expect(isText(list.subarray(0, position))).toBe(true)
      }),
      { numRuns: 5000 },
    )
    expect(findInvalidUtf8(Uint8Array.of(0x61, 0xc3, 0xa9, 0xff))).toBe(3)
    expect(findInvalidUtf8(Uint8Array.of(0x61, 0xe2, 0x82))).toBe(1)
  })
})

describe('detachedCopy', () => {
  it('is equal to its original', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(detachedCopy(text)).toBe(text)
      }),
    )
  })
})
