import type { FunctionHandle, ModuleBuilder } from '../assembler/index.ts'
import { atomic, i32 } from '../assembler/index.ts'
import { layout } from '../memory/layout.ts'

/** Rounds of looking before a waiting thread goes to sleep: some tens of microseconds, far more than threads of a step are apart. */
const spins = 20_000

/**
 * A barrier of `threads` threads: a counter of arrivals and a generation that the last arrival moves on. A thread looks at the
 * generation for a while, then sleeps on it; a barrier that only spins would cost milliseconds whenever a thread is not running.
 */
export function defineBarrier(module: ModuleBuilder): FunctionHandle<{ threads: 'i32' }, 'void'> {
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
          const rounds = fn.local('i32', 'rounds', 0)
          fn.block((leave) => {
            fn.loop((next) => {
              fn.branchIf(leave, i32.ne(atomic.load(layout.barrierGeneration), generation))
              fn.increment(rounds, 1)
              fn.branchIf(next, i32.ltU(rounds, spins))
              // Wakes when the generation moves; `not equal` at once if it has moved already.
              fn.run(atomic.wait(layout.barrierGeneration, generation))
              fn.branch(next)
            })
          })
        },
      )
    })
  })
}
