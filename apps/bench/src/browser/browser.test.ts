import { chromiumPath } from '@tessera/browser'
import { describe, expect, it } from 'vitest'
import { runInChromium } from './run.ts'

/** Continuous integration installs Chromium: there it must not be missing. */
const isMissing = chromiumPath() === undefined && !process.env.CI

describe.skipIf(isMissing)('the page', () => {
  it('checks and times implementations in Chromium, with threads', { timeout: 120_000 }, async () => {
    const schedule = { rounds: 1, samples: 1, sampleMs: 0.1, warmUpMs: 0, turnMs: 100, budgetMs: 1000, pauseMs: 0 }
    const lines: string[] = []
    const report = await runInChromium({ cases: ['matmul/64/NT'], threads: 2, schedule }, (line) => lines.push(line))
    const timed = report.cases.map(({ implementation, variant }) => `${implementation}/${variant}`)
    expect(timed, lines.join('\n')).toEqual(
      expect.arrayContaining(['tessera/plain', 'tessera/relaxed', 'javascript/loops']),
    )
    expect(report.notTimed.filter(({ implementation }) => implementation === 'tessera')).toEqual([])
    expect(report.cases.every(({ threads, medianMs }) => threads === 2 && medianMs > 0)).toBe(true)
    expect(report.machine.browser).toMatch(/^Chromium \d/)
  })
})
