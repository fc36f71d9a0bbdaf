import type { Backend, Device, Kernel, Plugin, Unavailable } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { WasmDevice } from './device/device.ts'
import { Machine } from './device/machine.ts'
import { wasmKernels } from './kernels/index.ts'
import { maximumThreads } from './memory/layout.ts'
import type { WasmKernelProgram } from './program/contract.ts'
import { chooseThreads, type Threading } from './threads/choose.ts'
import {
  chooseVariant,
  enableRelaxedSimdInNode20,
  enableRevectorizer,
  supportsSimd,
  type Variant,
  variants,
} from './variant.ts'

declare module '@tessera/core' {
  interface BackendPrograms {
    wasm: WasmKernelProgram
  }
}

/** Options of `wasm`. */
export interface WasmOptions {
  /** How kernels are written; by default the best that the engine has, `wide` only if asked for. */
  readonly variant?: Variant
  /**
   * Asks for 256-bit vectors: sets a process-wide, experimental flag of V8 in Node 24 and later on x86-64, which must happen
   * before anything else compiles WebAssembly. Where that is impossible, or known answers come out wrong, 128 bits are used.
   */
  readonly wide?: boolean
  /**
   * Threads that share the work, from 1 to 256: by default as many as the machine has, at most 8. Results do not depend on it.
   * In browsers all of them are workers, so that the page stays responsive; that needs cross-origin isolation, and without it
   * the calling thread is the only one, as a notice says.
   */
  readonly threads?: number
  /** Bytes up to which the device's memory may grow; at most, and by default, 4 GiB. */
  readonly maximumMemoryBytes?: number
}

/**
 * The WebAssembly backend with its kernels, as a plugin.
 *
 * @throws TesseraError `OPTIONS` for options that make no sense
 *
 * @example
 * ```ts
 * import { createRuntime, tensor } from '@tessera/core'
 * import { wasm } from '@tessera/backend-wasm'
 * const runtime = await createRuntime({ use: [wasm()] })
 * console.log(runtime.device.backend, await tensor([1, 2, 3]).multiply(2).data()) // wasm [2, 4, 6]
 * await runtime.close()
 * ```
 */
export function wasm(options: WasmOptions = {}): Plugin {
  return wasmWith(wasmKernels, options)
}

/**
 * The WebAssembly backend with some of its kernels, for pages that are to load fast: `wasmBasicKernels` run everything, the others only make it
 * faster, and bundlers leave out what is not named.
 *
 * @example
 * ```ts
 * import { createRuntime, tensor } from '@tessera/core'
 * import { wasmAttentionKernels, wasmBasicKernels, wasmWith } from '@tessera/backend-wasm'
 * const runtime = await createRuntime({ use: [wasmWith([...wasmBasicKernels, ...wasmAttentionKernels])] })
 * console.log(await tensor([1, 2, 3]).softmax().sum().item()) // 1
 * await runtime.close()
 * ```
 */
export function wasmWith(kernels: readonly Kernel[], options: WasmOptions = {}): Plugin {
  checkOptions(options)
  const backend: Backend<'wasm'> = { name: 'wasm', open: () => openDevice(kernels, options) }
  return { name: 'wasm', apiVersion: 1, backends: [backend], kernels }
}

async function openDevice(kernels: readonly Kernel[], options: WasmOptions): Promise<Device<'wasm'> | Unavailable> {
  if (!supportsSimd())
    return { unavailable: 'the JavaScript engine has no WebAssembly SIMD. Use the reference backend.' }
  const variant = await variantFor(options)
  if (typeof variant !== 'string') return variant
  const threading = await chooseThreads(options.threads)
  if (threading.notice) notice(threading.notice)
  const machine = await createMachine(variant, options, threading)
  if (variant !== 'wide') return new WasmDevice(machine)
  // Loaded only where it is asked for: wide vectors exist in Node alone.
  const { checkWide } = await import('./device/self-check.ts')
  const wrong = await checkWide(machine, kernels)
  if (wrong === undefined) return new WasmDevice(machine)
  await machine.close()
  notice(`wide vectors give a wrong result here (${wrong}); using 128-bit vectors.`)
  return new WasmDevice(await createMachine('relaxed', options, threading))
}

/** A machine with its workers running. If they cannot start, for example where a page forbids it, the calling thread is alone. */
async function createMachine(variant: Variant, options: WasmOptions, threading: Threading): Promise<Machine> {
  const { threads, processors, mayWait, startWorker } = threading
  const { maximumMemoryBytes } = options
  const memory = maximumMemoryBytes === undefined ? {} : { maximumBytes: maximumMemoryBytes }
  const machine = new Machine(variant, { shared: startWorker !== undefined, threads, ...memory })
  if (!startWorker) return machine
  try {
    await machine.startThreads(startWorker, processors, mayWait)
    return machine
  } catch (error) {
    if (!(error instanceof TesseraError && error.code === 'THREADS')) throw error
    await machine.close()
    notice(error.message)
    return createMachine(variant, options, { threads: 1, processors, mayWait })
  }
}

/** The variant to run, with the flags set that it needs. */
async function variantFor({ variant, wide = false }: WasmOptions): Promise<Variant | Unavailable> {
  if (variant === undefined) {
    const chosen = await chooseVariant({ wide })
    if (wide && chosen !== 'wide') notice('wide vectors need Node 24 or later on x86-64; using 128-bit vectors.')
    return chosen
  }
  if (variant === 'plain') return variant
  if (!(await enableRelaxedSimdInNode20())) {
    return {
      unavailable: `the JavaScript engine has no relaxed SIMD, which the variant '${variant}' needs. Use 'plain'.`,
    }
  }
  if (variant === 'wide') await enableRevectorizer()
  return variant
}

function checkOptions({ variant, threads, maximumMemoryBytes }: WasmOptions): void {
  const fail = (message: string): never => {
    throw new TesseraError('OPTIONS', `wasm: ${message}`)
  }
  if (variant !== undefined && !variants.includes(variant)) {
    fail(`there is no variant '${variant}'. Use one of ${variants.join(', ')}.`)
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= maximumThreads)) {
    fail(`threads is ${threads}; it must be an integer from 1 to ${maximumThreads}.`)
  }
  if (maximumMemoryBytes !== undefined && !(maximumMemoryBytes >= 2 ** 20 && maximumMemoryBytes <= 2 ** 32)) {
    fail(`maximumMemoryBytes is ${maximumMemoryBytes}; it must be from 1 MiB (1048576) to 4 GiB (4294967296).`)
  }
}

const given = new Set<string>()

/** Tells the user, once. */
function notice(message: string): void {
  if (given.has(message)) return
  given.add(message)
  console.warn(`tessera wasm: ${message}`)
}
