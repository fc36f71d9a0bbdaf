import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { StepClock } from './step-clock.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('times steps from begin to begin, without the first and without pauses', () => {
  const clock = new StepClock(0, 10, 50)
  clock.begin()
  vi.advanceTimersByTime(1000)
  clock.begin()
  expect(clock.progress(1)).toEqual({ step: 1, steps: 10, tokensPerSecond: undefined, secondsLeft: undefined })
  vi.advanceTimersByTime(20)
  clock.begin()
  vi.advanceTimersByTime(30)
  expect(clock.millisecondsOf(1)).toBe(1000)
  expect(clock.millisecondsOf(3)).toBe(30)
  clock.pause()
  vi.advanceTimersByTime(150)
  expect(clock.steady()).toEqual([20, 30])
  // 200 ms since the first step for two steps, pause included; 25 ms a step for the speed.
  expect(clock.progress(3)).toEqual({ step: 3, steps: 10, tokensPerSecond: 2000, secondsLeft: (0.2 / 2) * 7 })
  clock.begin()
  vi.advanceTimersByTime(40)
  clock.pause()
  expect(clock.steady()).toEqual([20, 30, 40])
})

test('counts steps from where a resumed run begins', () => {
  const clock = new StepClock(100, 200, undefined)
  for (let i = 0; i < 3; i++) {
    clock.begin()
    vi.advanceTimersByTime(10)
  }
  clock.pause()
  expect(clock.millisecondsOf(102)).toBe(10)
  expect(clock.progress(103)).toEqual({ step: 103, steps: 200, tokensPerSecond: undefined, secondsLeft: 0.97 })
})

test('gives the event loop a turn only after a while', async () => {
  const clock = new StepClock(0, 1, undefined)
  await clock.letOthersRun()
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(101)
  const turn = clock.letOthersRun()
  expect(vi.getTimerCount()).toBe(1)
  await vi.runAllTimersAsync()
  await turn
})
