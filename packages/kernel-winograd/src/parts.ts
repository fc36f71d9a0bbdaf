import type { WasmArgument } from '@tessera/backend-wasm'
import { type Algorithm, algorithmOf } from './algorithms.ts'

/** What kernels make of an algorithm, by α; made when the first kernel is built. */
export function partsOf<Parts>(make: (algorithm: Algorithm) => Parts): (size: 4 | 6) => Parts {
  const made = new Map<4 | 6, Parts>()
  return (size) => {
    const known = made.get(size)
    if (known) return known
    const parts = make(algorithmOf(size))
    made.set(size, parts)
    return parts
  }
}

export const input = (index: number): WasmArgument => ({ kind: 'input', index })

/** The last arguments of functions that divide their work among threads. */
export const own: readonly WasmArgument[] = [{ kind: 'threadScratch' }, { kind: 'thread' }, { kind: 'threads' }]
