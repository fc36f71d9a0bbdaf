import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PairTable } from './pair-table.ts'

describe('PairTable', () => {
  it('numbers pairs in the order in which they come', () => {
    const pairs = fc.array(fc.tuple(fc.nat(9), fc.nat(9)))
    fc.assert(
      fc.property(pairs, (list) => {
        const table = new PairTable()
        const model = new Map<string, number>()
        for (const [left, right] of list) {
          const key = `${left} ${right}`
          expect(table.find(left, right)).toBe(model.get(key) ?? -1)
          if (!model.has(key)) model.set(key, model.size)
          expect(table.add(left, right)).toBe(model.get(key))
        }
        expect(table.size).toBe(model.size)
      }),
    )
  })

  it('grows', () => {
    const table = new PairTable()
    for (let index = 0; index < 10_000; index++) expect(table.add(index % 100, (index / 100) | 0)).toBe(index)
    for (let index = 0; index < 10_000; index++) {
      expect(table.find(index % 100, (index / 100) | 0)).toBe(index)
      expect([table.left(index), table.right(index)]).toEqual([index % 100, (index / 100) | 0])
    }
    expect(table.find(100, 100)).toBe(-1)
  })
})
