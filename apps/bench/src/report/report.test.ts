import { describe, expect, it } from 'vitest'
import { renderChart } from './chart.ts'
import { renderMarkdown } from './markdown.ts'
import type { Limits, Report } from './report.ts'
import { computeResults, shortestMs } from './results.ts'
import { renderTable } from './table.ts'

const limits: Limits = { threads: 1, fma128Gflops: 50, fma256Gflops: 100, copyGBs: 20 }
const work = { flops: 1e9, bytes: 1e6 }
const measured = { case: 'matmul/x/NN', work, threads: 1 }
const cases = computeResults(
  [
    { ...measured, implementation: 'tessera', variant: 'wide', peer: false, samplesMs: [12, 10, 14] },
    { ...measured, implementation: 'slow', variant: 'wasm', peer: true, samplesMs: [100] },
    { ...measured, implementation: 'fast', variant: 'native', peer: true, samplesMs: [18, 15] },
    { ...measured, case: 'alone', implementation: 'tessera', variant: 'wide', peer: false, samplesMs: [20] },
  ],
  limits,
)
const report: Report = {
  machine: { processor: 'Test CPU', cores: 2, memoryGiB: 8, system: 'linux', node: '24', v8: '13', loadAverage: 0.5 },
  date: '2026-01-02T03:04:05.000Z',
  limits,
  cases,
  implementations: [
    { implementation: 'tessera', variant: 'wide', peer: false, version: '0', unavailable: null },
    { implementation: 'slow', variant: 'wasm', peer: true, version: '1', unavailable: null },
    { implementation: 'fast', variant: 'native', peer: true, version: '2', unavailable: null },
    { implementation: 'absent', variant: 'native', peer: true, version: null, unavailable: 'not installed' },
  ],
  notTimed: [
    { case: 'alone', implementation: 'slow', variant: 'wasm', reason: 'has no alone' },
    { case: 'alone', implementation: 'fast', variant: 'native', reason: 'has no alone' },
  ],
}

describe('computeResults', () => {
  it('takes medians, rates and ratios to the best peer of the same case', () => {
    expect(cases[0]).toEqual({
      case: 'matmul/x/NN',
      implementation: 'tessera',
      variant: 'wide',
      threads: 1,
      medianMs: 12,
      minMs: 10,
      maxMs: 14,
      gflops: 1000 / 12,
      shareOfLimit: 10 / 12,
      ratioToBestPeer: 16.5 / 12,
    })
    expect(cases.map(({ ratioToBestPeer }) => ratioToBestPeer)).toEqual([16.5 / 12, 0.165, 1, null])
  })
  it('takes the limit that binds', () => {
    expect(shortestMs({ flops: 1e9, bytes: 0 }, limits)).toBeCloseTo(10, 12)
    expect(shortestMs({ flops: 1e6, bytes: 1e9 }, limits)).toBeCloseTo(50, 12)
    expect(shortestMs({ flops: 1e9, bytes: 0 }, { ...limits, fma128Gflops: 200 })).toBeCloseTo(5, 12)
  })
})

it('prints a table with the limits, every figure and who is missing why', () => {
  const text = renderTable(report)
  expect(text).toContain('Test CPU')
  expect(text).toContain('50.0 GFLOP/s (128-bit), 100.0 GFLOP/s (256-bit), 20.0 GB/s')
  const inBrowser = renderTable({ ...report, limits: { ...report.limits, fma256Gflops: 0 } })
  expect(inBrowser).toContain('50.0 GFLOP/s (128-bit), 20.0 GB/s')
  expect(text).toMatch(/matmul\/x\/NN │ tessera\/wide +│ +12\.0 │ +10\.0 │ +14\.0 │ +83\.3 │ +83 % │ +1\.38 /)
  expect(text).toMatch(/│ +│ slow\/wasm +│ +100 /)
  expect(text).toContain('not available: absent/native: not installed')
  expect(text).toContain('not timed: slow/wasm, fast/native: has no alone')
})

it('writes a table for a page, with a dash where nothing was timed', () => {
  const lines = renderMarkdown(report).split('\n')
  expect(lines[0]).toContain('2026-01-02 03:04 UTC, Test CPU, 2 cores, Node 24. Threads: 1.')
  expect(lines.slice(2)).toEqual([
    '| case | tessera/wide | slow/wasm | fast/native |',
    '|---|---|---|---|',
    '| matmul/x/NN | 12.0 (10.0–14.0) | 100 (100–100) | 16.5 (15.0–18.0) |',
    '| alone | 20.0 (20.0–20.0) | – | – |',
    '',
  ])
})

it('draws every bar, whisker and limit as SVG', async () => {
  const svg = await renderChart(report)
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/)
  for (const text of ['matmul/x/NN', 'alone', 'tessera/wide', 'fast/native', '83.3', 'Test CPU'])
    expect(svg).toContain(text)
  expect(svg.match(/aria-roledescription="bar"/g)).toHaveLength(cases.length)
  expect(svg).not.toContain('NaN')
})
