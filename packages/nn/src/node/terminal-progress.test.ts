import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { StepRecord } from '../trainer/history.ts'
import { formatBar, formatDuration, formatLine, formatPercentage } from './progress-text.ts'
import { terminalProgress } from './terminal-progress.ts'

const record = (step: number): StepRecord => ({
  step,
  loss: 2.01314,
  learningRate: 9.134e-4,
  gradientNorm: 0.8312,
  milliseconds: 10,
})
const progress = (step: number) => ({ step, steps: 2000, tokensPerSecond: 12_400.4, secondsLeft: (2000 - step) / 20 })

describe('texts', () => {
  test('durations', () => {
    expect([0, 0.2, 59, 59.5, 84, 3600, 7500].map(formatDuration)).toEqual([
      '0 s',
      '1 s',
      '59 s',
      '1 m 0 s',
      '1 m 24 s',
      '1 h 0 m',
      '2 h 5 m',
    ])
  })

  test('percentages and bars are full only at the end', () => {
    const at = (step: number) => ({ ...progress(step) })
    expect([0, 1999, 2000].map((step) => formatPercentage(at(step)))).toEqual(['0 %', '99 %', '100 %'])
    expect([0, 1000, 1999, 2000].map((step) => formatBar(at(step), 10).done.length)).toEqual([0, 5, 9, 10])
    expect(formatBar(at(1000), 10)).toEqual({ done: '━━━━━', left: '─────' })
  })

  test('a line says what is known', () => {
    expect(formatLine({ progress: progress(612), step: record(612), evaluation: { step: 600, loss: 2.1042 } })).toBe(
      'step 612/2000 (30 %), loss 2.0131, validation 2.1042, rate 9.13e-4, norm 0.831, 12,400 tokens/s, 1 m 10 s left',
    )
    const end = { progress: progress(2000), step: { ...record(2000), loss: 0.000123 } }
    expect(formatLine({ ...end, unit: 'images' })).toContain('12,400 images/s')
    expect(formatLine(end)).toBe('step 2000/2000 (100 %), loss 1.23e-4, rate 9.13e-4, norm 0.831, 12,400 tokens/s')
    const unknown = { step: 1, steps: 2, tokensPerSecond: undefined, secondsLeft: undefined }
    expect(formatLine({ progress: unknown, step: { ...record(1), learningRate: 0.001 } })).toBe(
      'step 1/2 (50 %), loss 2.0131, rate 0.001, norm 0.831',
    )
  })
})

function screen(properties: object) {
  const stream = Object.assign(new PassThrough(), properties)
  let text = ''
  stream.on('data', (chunk) => {
    text += String(chunk)
  })
  return { stream, text: () => text }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('where the output is no terminal', () => {
  test('prints a line every ten seconds, one for each evaluation and one at the end', async () => {
    const { stream, text } = screen({})
    const observer = terminalProgress({ stream })
    for (let step = 1; step <= 250; step++) {
      vi.advanceTimersByTime(100)
      observer.onStep!(record(step), progress(step))
      if (step === 150) observer.onEvaluation!({ step, loss: 3 }, progress(step))
    }
    observer.onEnd!()
    const lines = text().trimEnd().split('\n')
    expect(lines.map((line) => line.split(' (')[0])).toEqual(['step 100/2000', 'step 150/2000', 'step 250/2000'])
    expect(lines[0]).not.toContain('validation')
    expect(lines[2]).toContain('validation 3.0000')
  })

  test('does not repeat the last line', () => {
    const { stream, text } = screen({})
    const observer = terminalProgress({ stream })
    observer.onStep!(record(3), progress(3))
    observer.onEvaluation!({ step: 3, loss: 3 }, progress(3))
    observer.onEnd!()
    expect(text().trimEnd().split('\n')).toHaveLength(1)
  })
})

describe('in a terminal', () => {
  const visible = (text: string) =>
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the terminal's own sequences.
    text.replaceAll(/\u001b\[[\d;?]*[a-zA-Z]/g, '')

  test('draws a bar over the figures, within the width', () => {
    const { stream, text } = screen({ isTTY: true, columns: 80, rows: 24, hasColors: () => true })
    const observer = terminalProgress({ stream, title: 'gpt' })
    observer.onStep!(record(1000), progress(1000))
    observer.onEnd!()
    const lines = visible(text()).split('\n')
    expect(lines[0]).toBe(`gpt  ${'━'.repeat(20)}${'─'.repeat(20)}  1000/2000  50 %  50 s left`)
    expect(lines[1]).toBe('     loss 2.0131 · rate 9.13e-4 · norm 0.831 · 12,400 tokens/s')
    expect(text()).toContain('\u001b[36m')
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  })

  test('redraws ten times a second at most, and leaves the end on the screen without colours when there are none', () => {
    const { stream, text } = screen({ isTTY: true, columns: 60, rows: 24, hasColors: () => false })
    const observer = terminalProgress({ stream })
    for (let step = 1901; step <= 2000; step++) {
      vi.advanceTimersByTime(10)
      observer.onStep!(record(step), progress(step))
    }
    observer.onEnd!()
    expect(visible(text()).split('training').length - 1).toBeLessThanOrEqual(12)
    expect(visible(text())).toContain('2000/2000  100 %')
    expect(text()).not.toContain('\u001b[36m')
  })

  test('draws nothing for a run that never began', () => {
    const { stream, text } = screen({ isTTY: true, columns: 60, rows: 24 })
    terminalProgress({ stream }).onEnd!()
    expect(visible(text())).toBe('')
  })
})
