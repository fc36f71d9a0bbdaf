/**
 * GPT-2's way to write bytes as visible characters in `vocab.json` and `merges.txt`: printable Latin-1 stands for
 * itself, the other 68 bytes take U+0100 and up in ascending order.
 */
const printable = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
] as const

/** The 256 bytes in the order of GPT-2's token ids: the printable ones, then the others. */
export const byteOrder: Uint8Array = orderBytes()

const characterOfByte: readonly string[] = characters()
const byteOfCharacter = new Map(characterOfByte.map((character, byte) => [character, byte]))

/** Bytes as visible text, one character for each. */
export function bytesToVisible(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += characterOfByte[byte]
  return text
}

/** The bytes that visible text stands for, or undefined when a character stands for none. */
export function visibleToBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length)
  for (let index = 0; index < text.length; index++) {
    const byte = byteOfCharacter.get(text[index]!)
    if (byte === undefined) return undefined
    bytes[index] = byte
  }
  return bytes
}

function isPrintable(byte: number): boolean {
  return printable.some(([first, last]) => byte >= first && byte <= last)
}

function orderBytes(): Uint8Array {
  const all = Array.from({ length: 256 }, (_, byte) => byte)
  return Uint8Array.from([...all.filter(isPrintable), ...all.filter((byte) => !isPrintable(byte))])
}

function characters(): string[] {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++))
}
