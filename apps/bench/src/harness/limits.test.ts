import { expect, it } from 'vitest'
import { combineTimes, LimitGauges } from './limits.ts'

it('adds up the rates of processes at work together', () => {
  expect(
    combineTimes([
      [2, 4],
      [2, 12, 9],
    ]),
  ).toEqual([1, 3])
})

it('measures limits that a processor can have', async () => {
  const limits = await LimitGauges.start(1)
  for (const gauge of limits.gauges) await gauge.measure({ warmUpMs: 20, sampleMs: 2, samples: 3, turnMs: 1000 })
  const { threads, fma128Gflops, fma256Gflops, copyGBs } = limits.read()
  await limits.close()
  expect(threads).toBe(1)
  // From the slowest emulation to well above four 512-bit units at 6 GHz.
  for (const figure of [fma128Gflops, fma256Gflops, copyGBs]) {
    expect(figure).toBeGreaterThan(0.05)
    expect(figure).toBeLessThan(2000)
  }
})
