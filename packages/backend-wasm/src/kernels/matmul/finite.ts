import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { i16x8, i32, v128 } from '../../assembler/index.ts'

/** Addresses and steps in bytes; `count` halves in each row. */
const parameters = { source: 'i32', step: 'i32', count: 'i32' } as const

export type FiniteFunction = FunctionHandle<typeof parameters, 'i32'>

/** The exponent of infinity and NaN in an f16 without its sign. */
const beyond = 0xf800

/**
 * Emits the function that says whether all f16 of some rows are finite: 1 or 0. Rows that are can be decoded with half the instructions, and this pass over them
 * has so few that many lines of memory are on their way at once, which then lie in the nearest cache.
 */
export function emitAreFinite(module: ModuleBuilder, rows: number): FiniteFunction {
  return module.function(`matmulAreFinite${rows}`, parameters, 'i32', (fn, { source, step, count }) => {
    const zero = v128.const(new Int32Array(4))
    const largest = [0, 1].map(() => fn.local('v128', 'largest', zero))
    const single = fn.local('i32', 'single', 0)
    // Side by side, as the products read them, so that memory sees as many streams.
    const places = Array.from({ length: rows }, () => fn.local('i32', 'place', source))
    for (let row = 1; row < rows; row++) fn.set(places[row]!, i32.add(places[row - 1]!, step))
    fn.while(i32.geS(count, 16), () => {
      for (const place of places) {
        const parts = [0, 16].map((offset) => fn.local('v128', 'part', i16x8.shl(v128.load(place, offset), 1)))
        parts.forEach((part, i) => {
          fn.set(largest[i]!, i16x8.maxU(largest[i]!, part))
        })
        fn.increment(place, 32)
      }
      fn.increment(count, -16)
    })
    fn.while(i32.gtS(count, 0), () => {
      for (const place of places) {
        fn.set(single, i32.or(single, i32.geU(i32.and(i32.shl(i32.load16U(place), 1), 0xffff), beyond)))
        fn.increment(place, 2)
      }
      fn.increment(count, -1)
    })
    const most = i16x8.maxU(largest[0]!, largest[1]!)
    fn.return(i32.eqz(i32.or(single, v128.anyTrue(i16x8.geU(most, i16x8.splat(beyond))))))
  })
}
