import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitText } from './split.ts'

describe('splitText', () => {
  it('holds out the last tenth by default', () => {
    expect(splitText('0123456789abcdefghij')).toEqual({ training: '0123456789abcdefgh', validation: 'ij' })
    expect(splitText('abc', 0)).toEqual({ training: 'abc', validation: '' })
  })

  it('keeps every character whole and in place', () => {
    const text = fc.array(fc.constantFrom('a', 'é', '😀', '\u{10ffff}')).map((characters) => characters.join(''))
    fc.assert(
      fc.property(text, fc.double({ min: 0, max: 0.999, noNaN: true }), (whole, fraction) => {
        const { training, validation } = splitText(whole, fraction)
        expect(training + validation).toBe(whole)
        expect(training.isWellFormed() && validation.isWellFormed()).toBe(true)
        expect(Math.abs(training.length - whole.length * (1 - fraction))).toBeLessThan(2)
      }),
    )
    expect(splitText('😀😀', 0.25)).toEqual({ training: '😀', validation: '😀' })
  })

  it.each([-0.1, 1, Number.NaN])('refuses the fraction %s', (fraction) => {
    expect(() => splitText('abc', fraction)).toThrow(/at least 0 and below 1/)
  })
})
