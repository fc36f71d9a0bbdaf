import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tokenizer } from '../tokenizers/tokenizer.ts'
import { TextStream } from './text-stream.ts'

/** One token a byte: the hardest case for characters of several bytes. */
const bytes: Tokenizer = {
  name: 'bytes',
  vocabularySize: 256,
  encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
  decode: (ids) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids)),
  toJSON: () => 'bytes',
}

function pieces(tokens: Iterable<number>, stops?: readonly string[]): string[] {
  const stream = new TextStream(bytes, stops)
  const result: string[] = []
  for (const token of tokens) result.push(stream.push(token))
  return [...result, stream.end()]
}

describe('TextStream', () => {
  it('waits for the whole of a character', () => {
    expect(pieces(bytes.encode('a€b'))).toEqual(['a', '', '', '€', 'b', ''])
  })

  it('gives the text of any tokens in the end, and never takes anything back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 255 })), (tokens) => {
        expect(pieces(tokens).join('')).toBe(bytes.decode(tokens))
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(pieces(bytes.encode(text)).join('')).toBe(text)
      }),
    )
  })

  it('hands on bytes that are no text when it is certain that they are none', () => {
    expect(pieces([0x61, 0xff, 0x62])).toEqual(['a', '', '\ufffdb', ''])
  })

  it('ends before a stop string, also one spread over tokens, and shows no part of it', () => {
    expect(pieces(bytes.encode('one. two'), ['. '])).toEqual(['o', 'n', 'e', '', '', '', '', '', ''])
    expect(pieces(bytes.encode('1.5'), ['. ']).join('')).toBe('1.5')
  })

  it('takes the stop string that comes first', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b') }),
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1 })),
        (text, stops) => {
          const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0)
          // Character by character, a stop string is noticed at its end, so the one that ends first counts.
          const ends = stops.map((stop) => text.indexOf(stop) + stop.length).filter((_, i) => text.includes(stops[i]!))
          const result = pieces(bytes.encode(text), stops).join('')
          if (places.length === 0) expect(result).toBe(text)
          else {
            expect(text.startsWith(result)).toBe(true)
            expect(stops.some((stop) => text.slice(0, Math.min(...ends)) === result + stop)).toBe(true)
          }
        },
      ),
    )
  })

  it('refuses an empty stop string', () => {
    expect(() => new TextStream(bytes, [''])).toThrow('a stop string is empty')
  })
})
