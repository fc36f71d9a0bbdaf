import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { History } from '../trainer/history.ts'
import { lossCurve, writeLossCurve } from './loss-curve.ts'

function historyOf(steps: number): History {
  return {
    steps: Array.from({ length: steps }, (_, i) => ({
      step: i + 1,
      loss: 1.5 + 3 * Math.exp(-i / (steps / 5)),
      learningRate: 1e-3,
      gradientNorm: 1,
      milliseconds: 10,
    })),
    evaluations: [1, 2, 3, 4].map((quarter) => ({ step: (quarter * steps) / 4, loss: 2 - quarter / 10 })),
  }
}

test('draws both losses with named axes and a legend', async () => {
  const picture = await lossCurve(historyOf(400), { title: 'A run & more', lossName: 'loss (nats per character)' })
  expect(picture).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
  for (const text of ['A run &amp; more', 'loss (nats per character)', 'step', 'training', 'validation']) {
    expect(picture).toContain(`>${text}</text>`)
  }
  const paths = [...picture.matchAll(/aria-roledescription="(line|symbol) mark container"/g)].map(([, kind]) => kind)
  expect(paths).toEqual(['line', 'line', 'symbol'])
  // The training line starts at the first step and has a point for each.
  expect(picture.match(/ d="M[^"]*"[^>]*stroke="#4c78a8"/)?.[0].split(/[ML]/)).toHaveLength(401)
})

test('averages long runs and says so', async () => {
  const picture = await lossCurve(historyOf(5000))
  expect(picture).toContain('>training (mean of 9 steps)</text>')
  expect(picture.length).toBeLessThan(60_000)
})

test('writes a file; a history without steps is refused, so is a folder that does not exist', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tessera-curve-'))
  try {
    await writeLossCurve(historyOf(10), join(folder, 'loss.svg'))
    expect(await readFile(join(folder, 'loss.svg'), 'utf8')).toContain('</svg>')
    await expect(writeLossCurve(historyOf(10), join(folder, 'no', 'loss.svg'))).rejects.toThrow(/could not be written/)
    await expect(lossCurve({ steps: [], evaluations: [] })).rejects.toThrow(/no steps/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
