import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkPattern } from '../patterns/check.ts'
import { fixed, type SparsePattern, strided } from '../patterns/pattern.ts'
import { isVisible } from '../patterns/visible.ts'
import { anyPattern } from '../testing/any-pattern.ts'
import { passesOf } from './groups.ts'
import { patternWork } from './work.ts'

/** How often each query sees each key through the runs. */
function seen(pattern: SparsePattern, length: number, most: number): number[][] {
  const counts = Array.from({ length }, () => new Array<number>(length).fill(0))
  for (const pass of passesOf(pattern, length, most)) {
    for (const { start, step, count, runs } of pass) {
      for (let i = start; i < start + count * step; i += step) {
        for (const run of runs) {
          for (let repeat = 0; repeat < run.repeats; repeat++) {
            for (let k = 0; k < run.count; k++) {
              const j = run.start + repeat * run.repeatStep + k * run.step
              if (j - i >= run.lowest && j - i <= run.highest) counts[i]![j]!++
            }
          }
        }
      }
    }
  }
  return counts
}

const lengthAndPattern = fc
  .integer({ min: 1, max: 70 })
  .chain((length) => fc.tuple(fc.constant(length), anyPattern(length)))

describe('runs', () => {
  it('show each query each key that its pattern shows, once', () => {
    fc.assert(
      fc.property(lengthAndPattern, fc.integer({ min: 1, max: 20 }), ([length, pattern], most) => {
        checkPattern(pattern, length)
        const expected = Array.from({ length }, (_, i) =>
          Array.from({ length }, (_, j) => (isVisible(pattern, i, j) ? 1 : 0)),
        )
        expect(seen(pattern, length, most)).toEqual(expected)
        expect(patternWork(pattern, length).pairs).toBe(expected.flat().reduce<number>((sum, one) => sum + one, 0))
      }),
      { numRuns: 300 },
    )
  })

  it('grow with the length to the power 1.5 (Child et al. 2019, section 4.2)', () => {
    for (const pattern of [(l: number) => strided(l), (l: number) => fixed(l, 8)]) {
      const points = [4096, 16384, 65536, 262144].map((n) => [
        Math.log(n),
        Math.log(patternWork(pattern(Math.sqrt(n)), n).pairs),
      ])
      const mean = (k: number) => points.reduce((sum, point) => sum + point[k]!, 0) / points.length
      const [x, y] = [mean(0), mean(1)]
      const slope =
        points.reduce((sum, [a, b]) => sum + (a! - x) * (b! - y), 0) /
        points.reduce((sum, [a]) => sum + (a! - x) ** 2, 0)
      expect(Math.abs(slope - 1.5)).toBeLessThan(0.05)
    }
  })

  it('connect every key to every later query in two steps (section 4.1)', () => {
    const length = 70
    for (const pattern of [strided(8), fixed(8, 2)]) {
      for (let i = 0; i < length; i++)
        for (let j = 0; j <= i; j++) {
          const middle = Array.from({ length }, (_, k) => k).some(
            (k) => isVisible(pattern, i, k) && isVisible(pattern, k, j),
          )
          expect(middle).toBe(true)
        }
    }
  })
})
