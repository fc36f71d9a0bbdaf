/**
 * GPT-2's pattern (Radford et al. 2019, `encoder.py`): merges never cross the borders of its matches. White space is
 * Unicode's White_Space property, as in the original's regular expressions; JavaScript's `\s` differs from it in
 * U+0085 and U+FEFF.
 */
export const gpt2Pattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu

const other = 0
const letter = 1
const number = 2
const space = 3

/** The class of each code point, filled in blocks of 256 when first needed. */
const classBlocks: (Uint8Array | undefined)[] = Array.from({ length: 0x1100 })

/**
 * Calls `visit` with each match of `gpt2Pattern` in turn. A hand-written scanner, because the regular expression
 * engine runs out of stack on tens of millions of letters outside Latin-1 without a space.
 */
export function forEachPreToken(text: string, visit: (word: string) => void): void {
  for (let start = 0; start < text.length; ) {
    const end = endOfPreToken(text, start)
    visit(text.slice(start, end))
    start = end
  }
}

function endOfPreToken(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === 0x27) {
    const length = contractionLength(text, start)
    if (length > 0) return start + length
  }
  const kind = classAt(text, start)
  if (kind !== space) return endOfRun(text, start, kind)
  if (start + 1 === text.length) return text.length
  const next = classAt(text, start + 1)
  // One space belongs to the word that follows it.
  if (next !== space) return first === 0x20 ? endOfRun(text, start + 1, next) : start + 1
  const end = endOfRun(text, start, space)
  return end === text.length ? end : end - 1
}

/** The length of 's, 't, 'm, 'd, 're, 've or 'll at `start`, or 0. */
function contractionLength(text: string, start: number): number {
  const first = text[start + 1]
  if (first === 's' || first === 't' || first === 'm' || first === 'd') return 2
  const second = text[start + 2]
  return ((first === 'r' || first === 'v') && second === 'e') || (first === 'l' && second === 'l') ? 3 : 0
}

function endOfRun(text: string, start: number, kind: number): number {
  let position = start
  while (position < text.length && classAt(text, position) === kind) {
    position += text.codePointAt(position)! > 0xffff ? 2 : 1
  }
  return position
}

function classAt(text: string, position: number): number {
  const codePoint = text.codePointAt(position)!
  const block = codePoint >> 8
  const classes = classBlocks[block] ?? classesOfBlock(block)
  classBlocks[block] = classes
  return classes[codePoint & 0xff]!
}

function classesOfBlock(block: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, offset) => {
    const character = String.fromCodePoint(block * 256 + offset)
    if (/\p{White_Space}/u.test(character)) return space
    if (/\p{L}/u.test(character)) return letter
    return /\p{N}/u.test(character) ? number : other
  })
}
