import type { FunctionHandle, ModuleBuilder } from '../assembler/index.ts'
import { atomic, i32 } from '../assembler/index.ts'
import { layout } from '../memory/layout.ts'

/** Nanoseconds that a thread sleeps before it looks whether the others are still there. */
const sleep = 100_000_000n
const timedOut = 2

/**
 * A barrier of `threads` threads: a counter of arrivals and a generation that the last arrival moves on. A thread looks at the
 * generation for a while, then sleeps on it; a barrier that only spins would cost milliseconds whenever a thread is not running.
 * Traps if another thread has failed.
 *
 * @param check called now and then by a thread that waits; throws if a thread that is waited for is gone
 */
export function defineBarrier(
  module: ModuleBuilder,
  check: FunctionHandle,
): FunctionHandle<{ threads: 'i32' }, 'void'> {
  return module.function('barrier', { threads: 'i32' }, 'void', (fn, { threads }) => {
    fn.if(i32.gtU(threads, 1), () => {
      const generation = fn.local('i32', 'generation', atomic.load(layout.barrierGeneration))
      const before = fn.local('i32', 'before', atomic.add(layout.barrierArrived, 1))
      fn.if(
        i32.eq(i32.add(before, 1), threads),
        () => {
          fn.atomicStore(layout.barrierArrived, 0)
          fn.run(atomic.add(layout.barrierGeneration, 1))
          fn.run(atomic.notify(layout.barrierGeneration))
        },
        () => {
          const spins = fn.local('i32', 'spins', i32.load(layout.barrierSpins))
          const rounds = fn.local('i32', 'rounds', 0)
          fn.block((leave) => {
            fn.loop((next) => {
              fn.branchIf(leave, i32.ne(atomic.load(layout.barrierGeneration), generation))
              fn.increment(rounds, 1)
              fn.branchIf(next, i32.ltU(rounds, spins))
              fn.if(atomic.load(layout.aborted), () => fn.unreachable())
              // Wakes when the generation moves; `not equal` at once if it has moved already.
              fn.if(i32.eq(atomic.wait(layout.barrierGeneration, generation, sleep), timedOut), () =>
                fn.call(check, {}),
              )
              fn.branch(next)
            })
          })
        },
      )
    })
  })
}
