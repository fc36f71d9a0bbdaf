import { describe, expect, it } from 'vitest'
import { Autoflex, type AutoflexOptions, ceilLog2, DynamicFixedPoint, StaticScale } from './autoflex.ts'

/** Uniform numbers on [0, 1): mulberry32. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
}

const use = (phi: number, scale: number) => Math.min(Math.round(phi / scale), 32767)

/** Share of uses that overflow, in per cent, and the mean of log2 Γ, over a trace of 20,000 maxima. */
function simulate(
  trace: (next: () => number) => (step: number) => number,
  options: Partial<AutoflexOptions>,
  seed = 1,
) {
  const phi = trace(random(seed))
  const autoflex = new Autoflex({ clamp: false, ...options })
  let overflows = 0
  let bits = 0
  for (let step = 0; step < 20_000; step++) {
    const value = phi(step)
    if (step === 0) autoflex.initialize((scale) => use(value, scale))
    const largest = use(value, autoflex.scale)
    if (largest >= 32767) overflows++
    bits += Math.log2(Math.max(largest, 1))
    autoflex.record(largest)
  }
  return { overflow: (100 * overflows) / 20_000, bits: bits / 20_000 }
}

const published = { margin: 2 }
const noBuffer = { margin: 1 }
const noMargin = { margin: 1, deviations: 0, offset: 0 }

/** The simulated expectations: overflows in per cent with α = 2, with α = 1, and without any margin. */
const expectations: Record<string, [(next: () => number) => (step: number) => number, number, number, number]> = {
  'a constant': [() => () => 1.7, 0, 0, 0],
  'doubling in 200 steps': [() => (step) => 2 ** (step / 200), 0, 0, 0.5],
  'log-normal, σ = 0.25': [(next) => () => Math.exp(0.25 * normal(next)), 0, 0.045, 0.245],
  'log-normal, σ = 0.5': [(next) => () => Math.exp(0.5 * normal(next)), 0, 0.185, 2.4],
  'log-normal, σ = 1': [(next) => () => Math.exp(normal(next)), 0.16, 0.87, 3.6],
  'a random walk of logarithms, σ = 0.05': [
    (next) => {
      let logarithm = 0
      return () => {
        logarithm += 0.05 * normal(next)
        return Math.exp(logarithm)
      }
    },
    0,
    0.005,
    0.73,
  ],
  'steps by 64 each 1000': [() => (step) => (Math.floor(step / 1000) % 2 ? 64 : 1), 0.1, 0.15, 6.1],
}

describe('Autoflex in simulation', () => {
  it.each(Object.entries(expectations))('%s', (_, [trace, ...expected]) => {
    const seeds = [1, 2, 3, 4]
    const mean = (options: Partial<AutoflexOptions>) =>
      seeds.reduce((sum, seed) => sum + simulate(trace, options, seed).overflow, 0) / seeds.length
    const got = [mean(published), mean(noBuffer), mean(noMargin)]
    // Within 0.05 points; where maxima are random and overflows common, within the sampling error of a tenth.
    for (const i of [0, 1]) expect(Math.abs(got[i]! - expected[i]!)).toBeLessThanOrEqual(0.05)
    const isRandom = trace.length > 0
    expect(Math.abs(got[2]! - expected[2]!)).toBeLessThanOrEqual(isRandom ? 0.1 * expected[2]! : 0.05)
  })

  it.each([
    ['a constant', 13.5],
    ['a random walk of logarithms, σ = 0.05', 13],
    ['log-normal, σ = 1', 10.1],
  ] as const)('uses its bits: %s', (name, expected) => {
    expect(Math.abs(simulate(expectations[name]![0], published).bits - expected)).toBeLessThan(0.3)
  })
})

describe('Autoflex', () => {
  it('starts within five runs for any magnitude', () => {
    for (let exponent = -9; exponent <= 12; exponent++) {
      const autoflex = new Autoflex({ clamp: false })
      const value = 3.3 * 10 ** exponent
      expect(autoflex.initialize((scale) => use(value, scale))).toBeLessThanOrEqual(5)
      const largest = use(value, autoflex.scale)
      expect(largest).toBeGreaterThanOrEqual(2 ** 13)
      expect(largest).toBeLessThan(32767)
    }
  })

  it('gives up on zeros', () => {
    const autoflex = new Autoflex()
    expect(autoflex.initialize(() => 0)).toBe(10)
    expect(autoflex.scale).toBe(1)
  })

  it('raises the scale before a slow rise overflows, where counting overflows does not', () => {
    const rise = (step: number) => 1.01 ** step
    const autoflex = new Autoflex({ clamp: false })
    autoflex.initialize((scale) => use(rise(0), scale))
    const counting = new DynamicFixedPoint({ scale: autoflex.scale, interval: 20 })
    const fixed = new StaticScale(autoflex.scale)
    const overflows = [0, 0, 0]
    for (let step = 0; step < 1500; step++) {
      for (const [i, manager] of [autoflex, counting, fixed].entries()) {
        const largest = use(rise(step), manager.scale)
        if (largest >= 32767) overflows[i]!++
        manager.record(largest)
      }
    }
    expect(overflows[0]).toBe(0)
    expect(overflows[1]).toBeGreaterThan(20)
    expect(overflows[2]).toBeGreaterThan(1000)
  })

  it('predicts stale tensors from their last two values and an eighth of the range', () => {
    const [plain, stale] = [new Autoflex({ clamp: false }), new Autoflex({ clamp: false, stale: true })]
    for (const manager of [plain, stale]) {
      manager.initialize((scale) => use(1, scale))
      for (let i = 0; i < 400; i++) manager.rest()
      // Four uses in hundreds of chances, one of them large but long ago.
      for (const value of [1, 8, 1, 1]) manager.record(use(value, manager.scale))
    }
    expect(stale.state()).toMatchObject({ age: 404, uses: 4 })
    // max(1, 1) + κ 2^12 at κ = 2^−10 is 5: 2^3 · 2^−15. The plain manager still remembers 8.
    expect(Math.log2(stale.scale)).toBeLessThan(Math.log2(plain.scale))
    const copy = new Autoflex({ clamp: false, stale: true })
    copy.restore(stale.state())
    for (const manager of [stale, copy]) manager.record(use(2, manager.scale))
    expect(copy.scale).toBe(stale.scale)
  })

  it('forgets what it knew when a value overflows', () => {
    const autoflex = new Autoflex({ clamp: false })
    autoflex.initialize((scale) => use(1, scale))
    for (let i = 0; i < 20; i++) autoflex.record(use(1, autoflex.scale))
    const before = autoflex.scale
    autoflex.record(32767)
    expect(autoflex.state().recent).toEqual([2 * 32767 * before])
    // 2 · (2 · 32767 + 100) is a little more than 2^17.
    expect(autoflex.scale).toBe(8 * before)
  })

  it('goes on where its state was saved', () => {
    const next = random(3)
    const [first, second] = [new Autoflex(), new Autoflex()]
    for (let i = 0; i < 9; i++) first.record(use(next(), first.scale))
    second.restore(JSON.parse(JSON.stringify(first.state())))
    for (let i = 0; i < 9; i++) {
      const value = next()
      for (const autoflex of [first, second]) autoflex.record(use(value, autoflex.scale))
    }
    expect(second.state()).toEqual(first.state())
  })

  it('refuses what is no mantissa and no size', () => {
    expect(() => new Autoflex().record(Number.NaN)).toThrow(/must be a number ≥ 0, got NaN/)
    expect(() => new Autoflex({ bits: 7 })).toThrow(/from 8 to 24 and exponentBits from 1 to 8, got 7 and 5/)
  })

  it('takes logarithms exactly', () => {
    for (let exponent = -149; exponent < 128; exponent++) {
      expect(ceilLog2(2 ** exponent)).toBe(exponent)
      if (exponent > -125) expect(ceilLog2(2 ** exponent * (1 + 2 ** -23))).toBe(exponent + 1)
      if (exponent > -125) expect(ceilLog2(2 ** exponent * (1 - 2 ** -24))).toBe(exponent)
    }
  })
})
