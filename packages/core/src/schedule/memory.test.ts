import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planMemory } from './memory.ts'

describe('planMemory', () => {
  it('never lets blocks overlap in memory and time at once, and takes little more than what is alive', () => {
    const lifetime = fc.record({ bytes: fc.integer({ min: 1, max: 5000 }), first: fc.nat(60), length: fc.nat(30) })
    fc.assert(
      fc.property(fc.array(lifetime, { maxLength: 60 }), (drawn) => {
        const lifetimes = drawn.map(({ bytes, first, length }) => ({ bytes, first, last: first + length }))
        const { offsets, totalBytes, liveBytes } = planMemory(lifetimes, 64)
        lifetimes.forEach((a, i) => {
          expect(offsets[i]! % 64).toBe(0)
          expect(offsets[i]! + a.bytes).toBeLessThanOrEqual(totalBytes)
          lifetimes.slice(i + 1).forEach((b, j) => {
            const together = a.first <= b.last && b.first <= a.last
            const k = i + 1 + j
            const apart = offsets[i]! + a.bytes <= offsets[k]! || offsets[k]! + b.bytes <= offsets[i]!
            expect(!together || apart).toBe(true)
          })
        })
        expect(totalBytes).toBeGreaterThanOrEqual(liveBytes)
      }),
    )
  })

  it('packs blocks that take turns into the space of one', () => {
    const turns = Array.from({ length: 10 }, (_, i) => ({ bytes: 1000, first: i, last: i }))
    expect(planMemory(turns, 64)).toMatchObject({ totalBytes: 1024, liveBytes: 1024 })
  })
})
