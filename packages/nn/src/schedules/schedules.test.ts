import { jit, type Tensor, tensor } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  constantSchedule,
  cosineSchedule,
  defineSchedule,
  linearSchedule,
  type Schedule,
  warmUp,
  warmUpCosine,
} from './schedules.ts'

const schedules: Record<string, Schedule> = {
  constant: constantSchedule(0.3),
  linear: linearSchedule({ from: 1, to: 0.25, steps: 100 }),
  cosine: cosineSchedule({ from: 6e-4, to: 6e-5, steps: 260 }),
  'warm-up': warmUp(10, constantSchedule(1e-3)),
  'warm-up + cosine': warmUpCosine({ peak: 1e-3, minimum: 1e-4, warmUpSteps: 100, steps: 2000 }),
  'inverse square root': defineSchedule((step, on) => on.power(on.maximum(step, 1), -0.5)),
}

describe('closed forms', () => {
  test('constant', () => {
    expect([0, 1, 1e6].map(constantSchedule(0.3).at)).toEqual([0.3, 0.3, 0.3])
  })

  test('linear decay ends at its last value', () => {
    expect([0, 50, 100, 200].map(linearSchedule({ from: 1, to: 0.5, steps: 100 }).at)).toEqual([1, 0.75, 0.5, 0.5])
    expect(linearSchedule({ from: 1, steps: 4 }).at(4)).toBe(0)
  })

  test('warm-up + cosine of GPT-3: 0 at first, the peak after the warm-up, a tenth at the end and after it', () => {
    // In billions of tokens: 375 million of warm-up, a cosine to 260 billion (Brown et al. 2020, appendix B).
    const { at } = warmUpCosine({ peak: 6e-4, minimum: 6e-5, warmUpSteps: 0.375, steps: 260 })
    expect(at(0)).toBe(0)
    expect(at(0.1875)).toBeCloseTo(3e-4, 12)
    expect(at(0.375)).toBeCloseTo(6e-4, 12)
    expect(at(130)).toBeCloseTo(6e-5 + 5.4e-4 * 0.5 * (1 + Math.cos((Math.PI * 129.625) / 259.625)), 12)
    expect(at(260)).toBeCloseTo(6e-5, 12)
    expect(at(300)).toBeCloseTo(6e-5, 12)
  })

  test('no warm-up leaves the schedule as it is', () => {
    const schedule = cosineSchedule({ from: 1, steps: 10 })
    expect(warmUp(0, schedule)).toBe(schedule)
  })
})

describe('tensors give what numbers give', () => {
  for (const [name, schedule] of Object.entries(schedules)) {
    test(name, async () => {
      const program = jit((step: Tensor) => schedule(step))
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 3000 }), async (step) => {
          const wanted = schedule.at(step)
          const rate = program(tensor(new Int32Array([step]), []))
          expect([rate.dtype, rate.shape]).toEqual(['f32', []])
          expect(Math.abs((await rate.item()) - wanted)).toBeLessThanOrEqual(1e-6 * Math.abs(wanted) + 1e-9)
        }),
        { numRuns: 40, examples: [[0], [1], [10], [99], [100], [101], [2000], [2001]] },
      )
      expect(program.compilations).toBe(1)
    })
  }
})

test('decays never rise and stay between their ends', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 1000 }),
      fc.nat(2000),
      (a, b, steps, step) => {
        const options = { from: Math.max(a, b), to: Math.min(a, b), steps }
        for (const { at } of [linearSchedule(options), cosineSchedule(options)]) {
          expect(at(step + 1)).toBeLessThanOrEqual(at(step) + 1e-12)
          expect(at(step)).toBeGreaterThanOrEqual(options.to - 1e-12)
          expect(at(step)).toBeLessThanOrEqual(options.from + 1e-12)
        }
      },
    ),
  )
})

test('options that make no schedule are refused', () => {
  expect(() => cosineSchedule({ from: 1, steps: 0 })).toThrow(/steps must be above 0, got 0/)
  expect(() => warmUpCosine({ peak: 1, warmUpSteps: 100, steps: 100 })).toThrow(
    /100 steps leave nothing after a warm-up of 100/,
  )
})
