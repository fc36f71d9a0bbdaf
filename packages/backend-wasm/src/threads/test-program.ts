import { atomic, i32, ModuleBuilder } from '../assembler/index.ts'
import { layout } from '../memory/layout.ts'
import { createEnvironment, importDevice } from '../program/library.ts'
import type { ThreadProgram } from './crew.ts'

/** Words of the test program, after what the device reserves. */
const base = layout.heap
export const failing = base + 4
export const results = base + 64

/**
 * Every thread does some work whose length grows with its number, writes 1 + its number into its word of the results, and waits for
 * the others at a barrier. `failing` holds −1, or the number of a thread that traps before the barrier; from 100 on, the thread of
 * that number less 100 does not come to the barrier but loops for ever.
 */
export function createProgram(): ThreadProgram {
  const module = new ModuleBuilder()
  const barrier = createEnvironment(module, 'plain', importDevice(module, true)).barrier()!
  const parameters = { bindings: 'i32', thread: 'i32', threads: 'i32' } as const
  const run = module.function('run', parameters, 'void', (fn, { bindings, thread, threads }) => {
    fn.repeat(i32.mul(thread, 100_000), () => fn.run(atomic.add(base, 1)))
    fn.if(i32.eq(i32.load(failing), thread), () => fn.unreachable())
    fn.if(i32.eq(i32.load(failing), i32.add(thread, 100)), () => {
      fn.loop((next) => fn.branch(next))
    })
    fn.store('i32', i32.add(bindings, i32.shl(thread, 2)), i32.add(thread, 1))
    fn.call(barrier, { threads })
  })
  module.export(run)
  module.export(
    module.function('runStep', { step: 'i32', ...parameters }, 'void', (fn, { step, bindings, thread, threads }) => {
      fn.call(run, { bindings: i32.add(bindings, step), thread, threads })
    }),
  )
  return { module: new WebAssembly.Module(module.toBytes()), imports: [], sharedWork: Number.POSITIVE_INFINITY }
}

export interface Entries {
  run(bindings: number, thread: number, threads: number): void
  runStep(step: number, bindings: number, thread: number, threads: number): void
}
