import type { Limits } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { DeviceMemory, type MemoryOptions } from '../memory/memory.ts'
import { type FunctionLibrary, functionLibrary } from '../program/library.ts'
import type { Linkage } from '../program/link.ts'
import type { Variant } from '../variant.ts'

/** What a device and its programs share: the memory, the functions that work on it, and one workspace for all programs. */
export class Machine {
  readonly memory: DeviceMemory
  readonly library: FunctionLibrary
  readonly limits: Limits
  /** Threads that enter a program. */
  readonly threads: number
  readonly #instances = new Map<WebAssembly.Module, WebAssembly.Instance>()
  /** Bytes of workspace that each live program needs. */
  readonly #needs = new Map<object, number>()
  #workspace: { readonly address: number; readonly byteLength: number } | undefined
  #closed = false

  constructor(variant: Variant, options: MemoryOptions & { readonly threads: number }) {
    this.memory = new DeviceMemory(options)
    this.library = functionLibrary(variant, options.shared)
    this.threads = options.threads
    this.limits = limitsOf(variant, options.threads, this.memory.maximumBytes)
  }

  requireOpen(operation: string): void {
    if (this.#closed) throw new TesseraError('CLOSED', `wasm: ${operation}: the device is closed. Open a new runtime.`)
  }

  close(): void {
    this.#closed = true
    this.#instances.clear()
    this.#needs.clear()
  }

  /** An instance of a program's module, linked with the functions that it imports. */
  instantiate({ module, functions }: Linkage): WebAssembly.Instance {
    const imports: Record<string, WebAssembly.ExportValue> = {}
    for (const { name } of functions) imports[name] = this.#instanceOf(this.library.get(name).module).exports[name]!
    return new WebAssembly.Instance(new WebAssembly.Module(module.toBytes()), {
      device: { memory: this.memory.memory },
      library: imports,
    })
  }

  /** States how much workspace a program needs: memory whose content does not outlive a run, so that all programs share it. */
  reserveWorkspace(program: object, byteLength: number): void {
    this.#needs.set(program, byteLength)
  }

  /** A program is gone: gives the workspace back when none of the others needs so much. */
  releaseWorkspace(program: object): void {
    this.#needs.delete(program)
    const needed = Math.max(0, ...this.#needs.values())
    if (this.#workspace && (needed === 0 || this.#workspace.byteLength > 2 * needed)) this.#freeWorkspace()
  }

  /** The address of a workspace that is large enough for every live program. */
  workspace(): number {
    const needed = Math.max(0, ...this.#needs.values())
    if (this.#workspace && this.#workspace.byteLength >= needed) return this.#workspace.address
    if (this.#workspace) this.#freeWorkspace()
    if (needed === 0) return 0
    const address = this.memory.allocate(needed)
    this.#workspace = { address, byteLength: needed }
    return address
  }

  #freeWorkspace(): void {
    this.memory.free(this.#workspace!.address)
    this.#workspace = undefined
  }

  #instanceOf(module: WebAssembly.Module): WebAssembly.Instance {
    let instance = this.#instances.get(module)
    if (!instance) {
      instance = new WebAssembly.Instance(module, { device: { memory: this.memory.memory } })
      this.#instances.set(module, instance)
    }
    return instance
  }
}

/** Rates of one thread, a little below what tile kernels reach on x86-64 at 3.7 GHz. */
const gigaflops: Record<Variant, number> = { plain: 45, relaxed: 55, wide: 105 }

function limitsOf(variant: Variant, threads: number, maximumBytes: number): Limits {
  return {
    gigaflops: gigaflops[variant] * threads,
    gigabytesPerSecond: 15 * Math.min(threads, 2),
    microsecondsPerCall: threads > 1 ? 0.5 : 0.1,
    alignment: 64,
    maximumBufferBytes: maximumBytes - 65536,
    maximumOperands: 100,
  }
}
