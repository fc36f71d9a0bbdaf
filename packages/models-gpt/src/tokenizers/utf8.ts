const encoder = new TextEncoder()
// A byte order mark is text like any other here.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Text as UTF-8. Half a surrogate pair, which UTF-8 cannot express, becomes the three bytes of the generalised form
 * (WTF-8), so that `decodeUtf8` restores every string exactly.
 */
export function encodeUtf8(text: string): Uint8Array {
  if (text.isWellFormed()) return encoder.encode(text)
  const parts: Uint8Array[] = []
  for (const [, paired, lone] of text.matchAll(/([^\p{Cs}]+)|(\p{Cs})/gu)) {
    if (paired !== undefined) parts.push(encoder.encode(paired))
    if (lone !== undefined) {
      const unit = lone.charCodeAt(0)
      parts.push(Uint8Array.of(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)))
    }
  }
  return concatenate(parts)
}

/** Bytes as text: the inverse of `encodeUtf8`; bytes that are no text become U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = ''
  let start = 0
  // 0xED never continues a character, so cutting before it changes nothing for its neighbours.
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, at + 1)) {
    const second = bytes[at + 1] ?? 0
    const third = bytes[at + 2] ?? 0
    if (second >= 0xa0 && second < 0xc0 && third >= 0x80 && third < 0xc0) {
      text += decoder.decode(bytes.subarray(start, at))
      text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f))
      start = at + 3
    }
  }
  return text + decoder.decode(start === 0 ? bytes : bytes.subarray(start))
}

/**
 * The length in bytes of the UTF-8 character at `position`, or 0 when the bytes there are no well-formed character
 * (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
export function utf8CharacterLength(bytes: Uint8Array, position: number): number {
  const first = bytes[position]
  if (first === undefined) return 0
  if (first < 0x80) return 1
  const second = bytes[position + 1] ?? 0
  const continues = (offset: number) => ((bytes[position + offset] ?? 0) & 0xc0) === 0x80
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0
  if (first >= 0xe0 && first <= 0xef) {
    const lowest = first === 0xe0 ? 0xa0 : 0x80
    const highest = first === 0xed ? 0x9f : 0xbf
    return second >= lowest && second <= highest && continues(2) ? 3 : 0
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const lowest = first === 0xf0 ? 0x90 : 0x80
    const highest = first === 0xf4 ? 0x8f : 0xbf
    return second >= lowest && second <= highest && continues(2) && continues(3) ? 4 : 0
  }
  return 0
}

/** The position of the first byte that is not part of well-formed UTF-8, or -1. */
export function findInvalidUtf8(bytes: Uint8Array): number {
  for (let position = 0; position < bytes.length; ) {
    const length = utf8CharacterLength(bytes, position)
    if (length === 0) return position
    position += length
  }
  return -1
}

/** A copy of a string that does not keep the longer text alive from which it was sliced. */
export function detachedCopy(text: string): string {
  // Engines copy short slices anyway.
  return text.length < 13 ? text : decodeUtf8(encodeUtf8(text))
}

/** Joins pieces of bytes. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0))
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}
