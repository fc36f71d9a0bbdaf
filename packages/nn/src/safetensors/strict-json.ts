import { SafetensorsError, shown } from './errors.ts'

/** A header is an object of objects that hold arrays of numbers: nothing nests deeper than this. */
const maximumDepth = 3

/**
 * Parses the JSON text of a header. `JSON.parse` alone would keep the last of two equal keys and build arrays as deep
 * as an attacker likes, so one pass over the text first checks both.
 */
export function parseStrictJson(text: string): unknown {
  checkNestingAndKeys(text)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid(`it is not valid JSON (${(cause as Error).message})`, cause)
  }
}

function checkNestingAndKeys(text: string): void {
  // One entry for each open bracket: the keys seen so far for an object, undefined for an array.
  const open: (Set<string> | undefined)[] = []
  let position = 0
  while (position < text.length) {
    const character = text[position]
    if (character === '"') {
      const end = endOfString(text, position)
      const keys = open.at(-1)
      if (keys && isFollowedByColon(text, end)) addKey(keys, text.slice(position, end))
      position = end
      continue
    }
    if (character === '{' || character === '[') {
      if (open.length === maximumDepth) {
        throw invalid(`it nests deeper than ${maximumDepth} levels at character ${position}`)
      }
      open.push(character === '{' ? new Set() : undefined)
    } else if (character === '}' || character === ']') {
      open.pop()
    }
    position++
  }
}

/** The position after the closing quotation mark of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let position = start + 1
  while (position < text.length) {
    const character = text[position]
    if (character === '"') return position + 1
    position += character === '\\' ? 2 : 1
  }
  throw invalid(`the string that opens at character ${start} never ends`)
}

function isFollowedByColon(text: string, start: number): boolean {
  let position = start
  while (' \t\n\r'.includes(text[position] ?? '.')) position++
  return text[position] === ':'
}

function addKey(keys: Set<string>, literal: string): void {
  let key: string
  try {
    // Decoded, so that "a" and "\u0061" count as the same name.
    key = JSON.parse(literal)
  } catch (cause) {
    throw invalid(`it is not valid JSON (${(cause as Error).message})`, cause)
  }
  if (keys.has(key)) {
    throw new SafetensorsError(
      'SAFETENSORS_NAME_INVALID',
      `safetensors: the header has the key ${shown(key)} twice, so its meaning is unclear. Write the file again with distinct names.`,
    )
  }
  keys.add(key)
}

function invalid(reason: string, cause?: unknown): SafetensorsError {
  return new SafetensorsError(
    'SAFETENSORS_HEADER_INVALID',
    `safetensors: the header cannot be used: ${reason}. The file is damaged or is not a safetensors file.`,
    { cause },
  )
}
