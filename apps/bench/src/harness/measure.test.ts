import { describe, expect, it } from 'vitest'
import { measure } from './measure.ts'

/** A clock that only runs move: each takes `runMs`, and settling a sample takes `settleMs`. */
function simulate(runMs: number, settleMs = 0) {
  let time = 0
  let runs = 0
  const prepared = {
    run() {
      runs++
      time += runMs
    },
    async settle() {
      time += settleMs
    },
    output: async () => new Float32Array(),
  }
  return { prepared, now: () => time, runs: () => runs }
}

describe('measure', () => {
  it('gives the time of one run, however many fill a sample', async () => {
    const { prepared, now } = simulate(0.25)
    expect(await measure(prepared, { warmUpMs: 0, sampleMs: 5, samples: 4, turnMs: 1000 }, now)).toEqual([
      0.25, 0.25, 0.25, 0.25,
    ])
  })
  it('warms up for the time asked and then runs a slow case once a sample', async () => {
    const { prepared, now, runs } = simulate(40)
    expect(await measure(prepared, { warmUpMs: 100, sampleMs: 5, samples: 2, turnMs: 1000 }, now)).toEqual([40, 40])
    expect(runs()).toBe(3 + 2)
  })
  it('begins no further sample when the turn is over, but takes one', async () => {
    const { prepared, now, runs } = simulate(400)
    expect(await measure(prepared, { warmUpMs: 100, sampleMs: 5, samples: 9, turnMs: 1000 }, now)).toEqual([400, 400])
    expect(await measure(prepared, { warmUpMs: 100, sampleMs: 5, samples: 9, turnMs: 100 }, now)).toEqual([400])
    expect(runs()).toBe(3 + 2)
  })
  it('charges settling to the sample, spread over its runs', async () => {
    const { prepared, now } = simulate(1, 2)
    const [time] = await measure(prepared, { warmUpMs: 0, sampleMs: 10, samples: 1, turnMs: 1000 }, now)
    // One run and settling take 3 ms, so ⌈1.2 · 10 / 3⌉ = 4 runs are tried: 6 ms; then ⌈1.2 · 4 · 10 / 6⌉ = 8: 10 ms.
    expect(time).toBe(10 / 8)
  })
  it('waits for asynchronous runs', async () => {
    let finished = 0
    const prepared = {
      run: () =>
        new Promise<void>((resolve) => {
          setTimeout(() => {
            finished++
            resolve()
          }, 3)
        }),
      output: async () => new Float32Array(),
    }
    const [time] = await measure(prepared, { warmUpMs: 0, sampleMs: 1, samples: 1, turnMs: 1000 })
    expect(finished).toBe(1)
    expect(time).toBeGreaterThan(2)
  })
  it('copes with a clock that stands still at first', async () => {
    const { prepared, now } = simulate(0.001)
    const coarse = (): number => Math.floor(now())
    const [time] = await measure(prepared, { warmUpMs: 0, sampleMs: 1, samples: 1, turnMs: 1000 }, coarse)
    expect(time).toBeGreaterThan(0.0005)
    expect(time).toBeLessThan(0.0015)
  })
})
