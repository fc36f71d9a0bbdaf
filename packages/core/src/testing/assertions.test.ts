import { describe, expect, it } from 'vitest'
import { assertClose, assertFails, relativeRms } from './assertions.ts'

describe('assertClose', () => {
  it('takes what lies within the tolerance, borders included', () => {
    assertClose([1, 2.5, -3], [1, 2, -3.5], { absolute: 0.5 }, 'absolute')
    assertClose([110], [100], { relative: 0.1 }, 'relative')
    assertClose([Number.NaN, Number.POSITIVE_INFINITY, -0], [Number.NaN, Number.POSITIVE_INFINITY, 0], {}, 'special')
  })

  it('reports the worst element with index, values and what was allowed', () => {
    const check = () =>
      assertClose(
        [1, 2, 3, 4, 5, 7],
        [1, 2, 3.5, 4, 5, 6],
        { relative: 0.01, absolute: 0.001, shape: [2, 3] },
        'softmax',
      )
    expect(check).toThrow(
      'softmax: 2 of 6 elements of [2, 3] differ. Worst: element 5 [1, 2] is 7 instead of 6, a difference of 1.00 where 0.0610 is allowed (relative 0.01, absolute 0.001).',
    )
  })

  it('tells NaN, infinities and missing elements from numbers', () => {
    const wide = { relative: 10, absolute: 1e9 }
    expect(() => assertClose([Number.NaN], [1], wide, 'a')).toThrow(/is NaN instead of 1/)
    expect(() => assertClose([1], [Number.NaN], wide, 'a')).toThrow(/is 1 instead of NaN/)
    expect(() => assertClose([1e30], [Number.POSITIVE_INFINITY], wide, 'a')).toThrow(/instead of Infinity/)
    expect(() => assertClose([Number.NEGATIVE_INFINITY], [Number.POSITIVE_INFINITY], wide, 'a')).toThrow(
      /is -Infinity instead of Infinity/,
    )
    expect(() => assertClose([1], [1, 2], wide, 'a')).toThrow('a: 1 elements instead of 2.')
  })

  it('looks at the sign of zeros when asked to', () => {
    assertClose([0], [-0], { absolute: 1 }, 'unsigned')
    expect(() => assertClose([0], [-0], { absolute: 1, signedZero: true }, 'signed')).toThrow(/is 0 instead of -0/)
  })
})

it('relativeRms compares the lengths of difference and result', () => {
  expect(relativeRms([3, 4.5], [3, 4])).toBeCloseTo(0.1, 12)
  expect(relativeRms([1, Number.NaN], [1, Number.NaN])).toBe(0)
  expect(relativeRms([1], [0])).toBe(Number.POSITIVE_INFINITY)
})

it('assertFails wants an error that says something', async () => {
  await assertFails(() => Promise.reject(new Error('no')), 'rejects')
  await expect(assertFails(() => 1, 'dividing by zero')).rejects.toThrow(
    'dividing by zero: went through; it must fail.',
  )
  await expect(assertFails(() => Promise.reject('no'), 'text')).rejects.toThrow(/not with an Error/)
})
