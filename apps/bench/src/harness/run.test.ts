import { expect, it } from 'vitest'
import { gptStepFamily } from '../cases/gpt-step.ts'
import { matmulFamily } from '../cases/matmul.ts'
import { fakeEntry } from '../testing/fake-entry.ts'
import { runBenchmark } from './run.ts'

it('writes a report of the agreed shape', async () => {
  const progress: string[] = []
  const report = await runBenchmark({
    cases: [matmulFamily.cases[0]!, gptStepFamily.cases[0]!],
    entries: [fakeEntry('right', false), fakeEntry('right'), fakeEntry('one-wrong-element'), fakeEntry('unavailable')],
    threads: 1,
    schedule: { rounds: 2, samples: 2, sampleMs: 0.5, warmUpMs: 0, turnMs: 100, budgetMs: 1000, pauseMs: 0 },
    progress: (line) => progress.push(line),
  })

  expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  expect(Object.keys(report)).toEqual(['machine', 'date', 'limits', 'cases', 'implementations', 'notTimed'])
  expect(report.date).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
  expect(report.cases).toHaveLength(2)
  for (const result of report.cases) {
    expect(Object.keys(result).join(' ')).toBe(
      'case implementation variant threads medianMs minMs maxMs gflops shareOfLimit ratioToBestPeer',
    )
    expect(result).toMatchObject({ case: 'matmul/64/NN', implementation: 'fake', variant: 'right', threads: 1 })
    expect(result.minMs).toBeLessThanOrEqual(result.medianMs)
    expect(result.medianMs).toBeLessThanOrEqual(result.maxMs)
  }
  expect(report.cases[1]!.ratioToBestPeer).toBe(1)
  expect(report.implementations.map(({ version, unavailable }) => version ?? unavailable)).toEqual([
    '1.2.3',
    '1.2.3',
    '1.2.3',
    'the fake is switched off',
  ])
  expect(report.notTimed.map((entry) => `${entry.case} ${entry.variant}`)).toEqual([
    'matmul/64/NN one-wrong-element',
    'gpt-step/nanogpt-cpu right',
    'gpt-step/nanogpt-cpu right',
    'gpt-step/nanogpt-cpu one-wrong-element',
  ])
  expect(progress).toEqual([
    'fake/unavailable takes no part: the fake is switched off',
    'matmul/64/NN',
    'gpt-step/nanogpt-cpu',
  ])
})
