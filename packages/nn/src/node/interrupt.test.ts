import { afterEach, expect, test, vi } from 'vitest'
import { abortOnInterrupt } from './interrupt.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

test('the first Ctrl-C aborts, the second ends the process, and dispose takes the handlers away', () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never)
  const onInterrupt = vi.fn()
  const before = process.listenerCount('SIGINT')
  const interrupt = abortOnInterrupt(onInterrupt)
  expect(interrupt.signal.aborted).toBe(false)
  process.emit('SIGINT', 'SIGINT')
  expect(interrupt.signal.aborted).toBe(true)
  expect(onInterrupt).toHaveBeenCalledOnce()
  expect(exit).not.toHaveBeenCalled()
  process.emit('SIGTERM', 'SIGTERM')
  expect(exit).toHaveBeenCalledWith(143)
  interrupt.dispose()
  expect(process.listenerCount('SIGINT')).toBe(before)
})
