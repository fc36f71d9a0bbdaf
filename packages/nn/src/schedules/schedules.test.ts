import { jit, type Tensor, tensor } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cosineRestarts,
  exponentialSchedule,
  inverseRootSchedule,
  oneCycle,
  polynomialSchedule,
  stepSchedule,
  warmUpStableDecay,
} from './decays.ts'
import { ReduceOnPlateau } from './plateau.ts'
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
  step: stepSchedule({ from: 0.1, factor: 0.5, every: 30 }),
  exponential: exponentialSchedule({ from: 0.1, factor: 0.999 }),
  polynomial: polynomialSchedule({ from: 1, to: 0.1, steps: 1000, power: 3 }),
  'inverse root with a warm-up': inverseRootSchedule({ peak: 7e-4, warmUpSteps: 100 }),
  'warm-up, stable, decay': warmUpStableDecay({ peak: 0.01, warmUpSteps: 100, decaySteps: 500, steps: 2000 }),
  'one cycle': oneCycle({ peak: 0.1, steps: 2000 }),
  'cosine restarts': cosineRestarts({ from: 0.2, to: 0.1, every: 100 }),
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

  test('step, exponential and polynomial', () => {
    const step = stepSchedule({ from: 1, factor: 0.1, every: 10 })
    for (const [at, wanted] of [
      [0, 1],
      [9, 1],
      [10, 0.1],
      [19, 0.1],
      [20, 0.01],
    ] as const) {
      expect(step.at(at)).toBeCloseTo(wanted, 12)
    }
    expect(exponentialSchedule({ from: 2, factor: 0.5 }).at(3)).toBeCloseTo(0.25, 12)
    const polynomial = polynomialSchedule({ from: 1, to: 0.5, steps: 10, power: 2 })
    for (const [at, wanted] of [
      [0, 1],
      [5, 0.625],
      [10, 0.5],
      [11, 0.5],
    ] as const) {
      expect(polynomial.at(at)).toBeCloseTo(wanted, 12)
    }
  })

  test('the Transformer: width^−½ · min(step^−½, step · warmUp^−1.5)', () => {
    const { at } = inverseRootSchedule({ peak: 1 / Math.sqrt(512 * 4000), warmUpSteps: 4000 })
    for (const step of [1, 100, 3999, 4000, 4001, 1e5]) {
      expect(at(step)).toBeCloseTo(512 ** -0.5 * Math.min(step ** -0.5, step * 4000 ** -1.5), 12)
    }
  })

  test('warm-up, stable, decay', () => {
    const { at } = warmUpStableDecay({ peak: 1, minimum: 0.2, warmUpSteps: 10, decaySteps: 20, steps: 100 })
    expect([0, 5, 10, 50, 80].map(at)).toEqual([0, 0.5, 1, 1, 1])
    expect(at(90)).toBeCloseTo(0.6, 12)
    expect(at(100)).toBeCloseTo(0.2, 12)
    expect(at(200)).toBeCloseTo(0.2, 12)
  })

  test('one cycle rises, falls and ends; restarts begin again', () => {
    const { at } = oneCycle({ peak: 1, steps: 100, rise: 0.25 })
    for (const [step, wanted] of [
      [0, 0.04],
      [12.5, 0.52],
      [25, 1],
      [62.5, 0.5 * (1 + 4e-6)],
      [100, 4e-6],
      [101, 4e-6],
    ]) {
      expect(at(step!)).toBeCloseTo(wanted!, 12)
    }
    const cycles = cosineRestarts({ from: 1, every: 4 })
    for (const [step, wanted] of [
      [0, 1],
      [2, 0.5],
      [4, 1],
      [6, 0.5],
      [8, 1],
    ])
      expect(cycles.at(step!)).toBeCloseTo(wanted!, 12)
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

test('a plateau reduces the rate of the optimizer, not below the minimum', async () => {
  const plateau = new ReduceOnPlateau({ from: 0.1, factor: 0.1, patience: 2, threshold: 0.1, minimum: 0.005 })
  const optimizer: { learningRate: unknown } = { learningRate: plateau.learningRate() }
  // The second 0.95 is no progress: it is not a tenth below 1.
  const reduced = [1, 0.95, 0.95, 0.5, 0.49, 0.48, 0.47, 0.46].map((loss) => plateau.observe(loss, optimizer))
  expect(reduced).toEqual([false, false, true, false, false, true, false, false])
  expect(plateau.rate).toBe(0.005)
  expect(await (optimizer.learningRate as Tensor).item()).toBeCloseTo(0.005, 8)
  expect(() => new ReduceOnPlateau({ from: 1, factor: 1 })).toThrow(/0 < factor < 1/)
})

test('options that make no schedule are refused', () => {
  expect(() => stepSchedule({ from: 1, every: 0 })).toThrow(/steps must be above 0, got 0/)
  expect(() => exponentialSchedule({ from: 1, factor: -1 })).toThrow(/factor must be above 0, got -1/)
  expect(() => polynomialSchedule({ from: 1, steps: 2, power: 0 })).toThrow(/power must be above 0/)
  expect(() => oneCycle({ peak: 1, steps: 10, rise: 1 })).toThrow(/rise must be/)
  expect(() => warmUpStableDecay({ peak: 1, warmUpSteps: 6, decaySteps: 5, steps: 10 })).toThrow(/more than 10 steps/)
  expect(() => cosineSchedule({ from: 1, steps: 0 })).toThrow(/steps must be above 0, got 0/)
  expect(() => warmUpCosine({ peak: 1, warmUpSteps: 100, steps: 100 })).toThrow(
    /100 steps leave nothing after a warm-up of 100/,
  )
})
