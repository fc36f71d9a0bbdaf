import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from './heap.ts'

describe('Heap', () => {
  it('gives what was pushed in order, also when pushes and pops alternate', () => {
    const operations = fc.array(fc.option(fc.integer({ min: -5, max: 5 })))
    fc.assert(
      fc.property(operations, (list) => {
        const heap = new Heap<number>((a, b) => a < b)
        const model: number[] = []
        for (const value of list) {
          if (value === null) {
            expect(heap.pop()).toBe(model.shift())
          } else {
            heap.push(value)
            model.push(value)
            model.sort((a, b) => a - b)
          }
          expect(heap.size).toBe(model.length)
        }
      }),
    )
  })

  it('is empty after clear', () => {
    const heap = new Heap<number>((a, b) => a < b)
    heap.push(1)
    heap.clear()
    expect(heap.pop()).toBeUndefined()
  })
})
