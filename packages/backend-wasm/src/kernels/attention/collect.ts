import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { f32, i32, v128 } from '../../assembler/index.ts'

/** Addresses and steps are in bytes. */
const parameters = { source: 'i32', step: 'i32', count: 'i32', width: 'i32', destination: 'i32' } as const

export type CollectFunction = FunctionHandle<typeof parameters, 'void'>

/**
 * Emits the function that copies rows of floats that lie apart to a place where they are neighbours. Rows a power of two apart would drive each other out
 * of the caches while several strips of queries read them.
 */
export function emitCollect(module: ModuleBuilder): CollectFunction {
  return module.function('attentionCollect', parameters, 'void', (fn, { source, step, count, width, destination }) => {
    fn.repeat(count, () => {
      const from = fn.local('i32', 'from', source)
      const rest = fn.local('i32', 'rest', width)
      fn.while(i32.geS(rest, 8), () => {
        const [low, high] = [0, 16].map((offset) => fn.local('v128', 'part', v128.load(from, offset)))
        fn.store('v128', destination, low!)
        fn.store('v128', destination, high!, 16)
        fn.increment(from, 32)
        fn.increment(destination, 32)
        fn.increment(rest, -8)
      })
      fn.while(i32.gtS(rest, 0), () => {
        fn.store('f32', destination, f32.load(from))
        fn.increment(from, 4)
        fn.increment(destination, 4)
        fn.increment(rest, -1)
      })
      fn.increment(source, step)
    })
  })
}
