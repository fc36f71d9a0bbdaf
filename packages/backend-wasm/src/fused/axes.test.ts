import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AccessPattern, normalizeAxes, takeInnerAxis } from './axes.ts'

const store = (...strides: number[]): AccessPattern => ({ strides, isStore: true })
const load = (...strides: number[]): AccessPattern => ({ strides, isStore: false })
const all = (domain: readonly number[]) => domain.map((_, axis) => axis)

describe('normalizeAxes', () => {
  it('joins contiguous axes and drops axes of extent 1', () => {
    const nest = normalizeAxes([2, 1, 3, 4], [0, 1, 2, 3], [store(12, 99, 4, 1), load(12, 0, 4, 1)], [0, 0])
    expect(nest).toEqual([{ extent: 24, strides: [1, 1] }])
  })

  it('keeps apart what a broadcast operand keeps apart', () => {
    const nest = normalizeAxes([2, 3, 4], [0, 1, 2], [store(12, 4, 1), load(0, 4, 1)], [0, 0])
    expect(nest).toEqual([
      { extent: 2, strides: [12, 0] },
      { extent: 12, strides: [1, 1] },
    ])
  })

  it('turns axes round that run backwards', () => {
    const starts = [0, 0]
    const nest = normalizeAxes([3, 4], [0, 1], [store(-4, -1), load(-4, -1)], starts)
    expect(nest).toEqual([{ extent: 12, strides: [1, 1] }])
    expect(starts).toEqual([-11, -11])
  })

  it('orders axes by what is stored', () => {
    const nest = normalizeAxes([5, 6], [0, 1], [store(1, 5), load(6, 1)], [0, 0])
    expect(nest).toEqual([
      { extent: 6, strides: [5, 1] },
      { extent: 5, strides: [1, 6] },
    ])
  })

  it('visits exactly the elements of the domain', () => {
    const axis = fc.record({
      extent: fc.integer({ min: 1, max: 4 }),
      strides: fc.tuple(fc.integer({ min: -3, max: 9 }), fc.integer({ min: -3, max: 9 })),
    })
    fc.assert(
      fc.property(fc.array(axis, { maxLength: 4 }), (axes) => {
        const domain = axes.map(({ extent }) => extent)
        const patterns = [
          store(...axes.map(({ strides }) => strides[0])),
          load(...axes.map(({ strides }) => strides[1])),
        ]
        const starts = [0, 0]
        const nest = normalizeAxes(domain, all(domain), patterns, starts)
        const { inner, outer } = takeInnerAxis(nest)
        const visited = visit([...outer, ...(inner ? [inner] : [])], starts)
        const expected = visit(
          axes.map(({ extent, strides }) => ({ extent, strides: [...strides] })),
          [0, 0],
        )
        expect(visited).toEqual(expected)
      }),
    )
  })
})

function visit(nest: readonly { extent: number; strides: readonly number[] }[], starts: readonly number[]): string[] {
  let points = [[...starts]]
  for (const { extent, strides } of nest) {
    points = points.flatMap((point) =>
      Array.from({ length: extent }, (_, k) => point.map((position, i) => position + k * strides[i]!)),
    )
  }
  return points.map(String).sort()
}

describe('takeInnerAxis', () => {
  it('prefers the axis that is contiguous for most accesses', () => {
    const nest = normalizeAxes([64, 64], [0, 1], [store(64, 1), load(1, 64), load(1, 64)], [0, 0, 0])
    expect(takeInnerAxis(nest).inner?.strides).toEqual([64, 1, 1])
  })

  it('takes an axis without elements', () => {
    expect(takeInnerAxis([{ extent: 0, strides: [1, 0] }]).inner?.extent).toBe(0)
  })

  it('avoids an axis that would leave most lanes empty', () => {
    const nest = normalizeAxes([1000, 2], [0, 1], [store(2, 1), load(1, 1000)], [0, 0])
    expect(takeInnerAxis(nest).inner?.extent).toBe(1000)
  })
})
