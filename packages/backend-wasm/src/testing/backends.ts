import { setFlagsFromString } from 'node:v8'
import type { Backend } from '@tessera/core'
import { WasmDevice } from '../device/device.ts'
import { Machine } from '../device/machine.ts'
import { availableThreads, workerStarter } from '../threads/workers.ts'
import { enableRevectorizer, type Variant } from '../variant.ts'
import { wasm } from '../wasm.ts'

/** A backend with real threads, which share even the smallest calls. */
export const threaded = (variant: Variant, threads: number): Backend => ({
  name: 'wasm',
  open: async () => {
    if (variant === 'wide') await enableRevectorizer()
    const machine = new Machine(variant, { shared: true, threads, sharesAll: true })
    const startWorker = await workerStarter()
    if (typeof startWorker !== 'function') throw new Error(startWorker.unavailable)
    await machine.startThreads(startWorker, await availableThreads(), true)
    return new WasmDevice(machine)
  },
})

/** A backend whose programs only the optimising compiler makes: it alone joins vectors, and by itself it takes over after many runs only. */
export const optimised = (backend: Backend): Backend => ({
  ...backend,
  open: async () => {
    const device = await backend.open()
    setFlagsFromString('--no-liftoff')
    return device
  },
})

/** One thread of a variant, with the code that a long run has. */
export function variantBackend(variant: Variant): Backend<'wasm'> {
  const backend = wasm({ variant, threads: 1 }).backends![0]!
  return (variant === 'wide' ? optimised(backend) : backend) as Backend<'wasm'>
}
