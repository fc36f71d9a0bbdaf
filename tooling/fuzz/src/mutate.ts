import type { Source } from './random.ts'

/** Numbers at which lengths, offsets and counts go wrong. */
const extremes = [
  0n,
  1n,
  2n,
  7n,
  127n,
  128n,
  255n,
  256n,
  65535n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
]

/** Text that means something to a parser of JSON or of numbers. */
const words = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ':',
  ',',
  '\\u0000',
  '\\',
  'null',
  'true',
  '-1',
  '1e999',
  '1.5',
  '""',
  '[]',
  '{}',
  '18446744073709551616',
  '"__proto__"',
  '\ufeff',
  '[[[[[[[[[[',
  '\n',
]

type Mutation = (
  bytes: Uint8Array,
  source: Source,
  others: readonly Uint8Array[],
  dictionary: readonly string[],
) => Uint8Array

const encoder = new TextEncoder()

function replace(bytes: Uint8Array, start: number, end: number, by: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length - (end - start) + by.length)
  result.set(bytes.subarray(0, start))
  result.set(by, start)
  result.set(bytes.subarray(end), start + by.length)
  return result
}

/** A stretch that is short as a rule, wherever it lies. */
function stretch(bytes: Uint8Array, source: Source): [start: number, end: number] {
  const start = source.below(bytes.length + 1)
  const longest = source.pick([1, 4, 16, 256, bytes.length])
  return [start, Math.min(bytes.length, start + source.below(longest + 1))]
}

const flipBit: Mutation = (bytes, source) => {
  const copy = bytes.slice()
  const at = source.below(copy.length)
  copy[at]! ^= 1 << source.below(8)
  return copy
}

const writeExtreme: Mutation = (bytes, source) => {
  const width = source.pick([1, 2, 4, 8])
  const copy = replace(bytes, 0, 0, new Uint8Array(0))
  const at = source.below(Math.max(1, copy.length - width + 1))
  let value = source.pick(extremes)
  for (let i = 0; i < width && at + i < copy.length; i++) {
    copy[source.below(8) === 0 ? at + width - 1 - i : at + i] = Number(value & 255n)
    value >>= 8n
  }
  return copy
}

const truncate: Mutation = (bytes, source) => bytes.slice(0, source.below(bytes.length + 1))
const remove: Mutation = (bytes, source) => replace(bytes, ...stretch(bytes, source), new Uint8Array(0))
const repeat: Mutation = (bytes, source) => {
  const [start, end] = stretch(bytes, source)
  return replace(bytes, start, start, bytes.slice(start, end))
}
const insertWord: Mutation = (bytes, source, _, dictionary) => {
  const at = source.below(bytes.length + 1)
  return replace(bytes, at, at, encoder.encode(source.pick([...words, ...dictionary])))
}
const replaceNumber: Mutation = (bytes, source) => {
  const digits = [...bytes.keys()].filter((i) => bytes[i]! >= 48 && bytes[i]! <= 57)
  if (digits.length === 0) return bytes
  const start = source.pick(digits)
  let end = start
  while (end < bytes.length && bytes[end]! >= 48 && bytes[end]! <= 57) end++
  return replace(bytes, start, end, encoder.encode(String(source.pick(extremes))))
}
const splice: Mutation = (bytes, source, others) => {
  const other = source.pick(others)
  const [start, end] = stretch(other, source)
  return replace(bytes, ...stretch(bytes, source), other.slice(start, end))
}

const mutations: readonly Mutation[] = [
  flipBit,
  writeExtreme,
  truncate,
  remove,
  repeat,
  insertWord,
  replaceNumber,
  splice,
]

/** A damaged copy of one of some valid files: between one and four mutations, one after the other. */
export function mutate(seeds: readonly Uint8Array[], dictionary: readonly string[], source: Source): Uint8Array {
  let bytes = source.pick(seeds)
  const count = 1 + source.below(4)
  for (let i = 0; i < count; i++) {
    if (bytes.length === 0) return bytes
    bytes = source.pick(mutations)(bytes, source, seeds, dictionary)
  }
  return bytes
}
