import type { Limits } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { DeviceMemory, type MemoryOptions } from '../memory/memory.ts'
import { type FunctionLibrary, functionLibrary } from '../program/library.ts'
import type { Linkage } from '../program/link.ts'
import type { ThreadProgram } from '../threads/crew.ts'
import { ThreadPool } from '../threads/pool.ts'
import { CommandQueue } from '../threads/queue.ts'
import type { StartWorker } from '../threads/workers.ts'
import type { Variant } from '../variant.ts'

/** The entry points that every program exports. */
interface ProgramEntries {
  run(bindings: number, thread: number, threads: number): void
  runStep(step: number, bindings: number, thread: number, threads: number): void
}

/** A program in its device's memory. */
export interface LinkedProgram extends ThreadProgram {
  /** Absent where the calling thread runs nothing. */
  readonly entries: ProgramEntries | undefined
  /** For each step whether thread 0 runs it by itself. */
  readonly aloneSteps: readonly boolean[]
  /** True when that is so for all of them. */
  readonly isAlone: boolean
}

/** What a run puts into the memory: the program's counters, all 0, and after them the table of its bindings. */
export interface Bindings {
  /** Where the table is. */
  readonly address: number
  readonly words: Int32Array
  readonly wordsAddress: number
}

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
  /** The most of them. */
  #neededBytes = 0
  /** True when threads share even calls that are not worth it. */
  readonly sharesAll: boolean
  readonly #imports: Record<string, WebAssembly.ExportValue>
  #pool: ThreadPool | undefined
  #queue: CommandQueue | undefined
  #workspace: { readonly address: number; readonly byteLength: number } | undefined
  #closed = false

  /** @param options `sharesAll` is for tests */
  constructor(variant: Variant, options: MemoryOptions & { readonly threads: number; readonly sharesAll?: boolean }) {
    this.memory = new DeviceMemory(options)
    this.library = functionLibrary(variant, options.shared)
    this.threads = options.threads
    this.sharesAll = options.sharesAll ?? false
    this.#imports = { memory: this.memory.memory, check: () => this.#pool?.check() }
    this.limits = limitsOf(variant, options.threads, this.memory.maximumBytes)
  }

  requireOpen(operation: string): void {
    if (this.#closed) throw new TesseraError('CLOSED', `wasm: ${operation}: the device is closed. Open a new runtime.`)
  }

  /**
   * Starts the workers; without them, the calling thread runs everything.
   * @param processors threads that the machine can run at a time
   * @param mayWait whether the calling thread is one of the threads, and waits for the others; else all are workers and runs are
   *   only asked for
   * @throws TesseraError `THREADS` if a worker cannot start
   */
  async startThreads(startWorker: StartWorker, processors: number, mayWait: boolean): Promise<void> {
    const options = { memory: this.memory.memory, threads: this.threads, processors, startWorker }
    if (mayWait) {
      this.#pool = new ThreadPool(options)
      await this.#pool.ready
    } else {
      this.#queue = new CommandQueue(options)
      await this.#queue.ready
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#instances.clear()
    this.#needs.clear()
    this.#neededBytes = 0
    await this.#pool?.close()
    await this.#queue?.close()
  }

  /** Whether a run is over when the call returns. */
  get runsAtOnce(): boolean {
    return this.#queue === undefined
  }

  /** Puts bytes into the memory, after the runs asked for so far. */
  write(address: number, bytes: Uint8Array): void {
    if (this.#queue && !this.#queue.isIdle) this.#queue.write(address, bytes)
    else this.memory.bytes.set(bytes, address)
  }

  /** A copy of the memory after the runs asked for so far. */
  async read(address: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#queue ? this.#queue.read(address, byteLength) : this.memory.copy(address, byteLength)
  }

  /** Resolves when the runs asked for so far are over. */
  async synchronize(): Promise<void> {
    await this.#queue?.read(0, 0)
  }

  /**
   * Compiles a program's module and links it with the functions that it imports.
   * @param sharedWork microseconds that its shared work takes one thread, roughly
   */
  instantiate({ module: builder, functions, aloneSteps }: Linkage, sharedWork: number): LinkedProgram {
    const module = new WebAssembly.Module(builder.toBytes())
    const imports = functions.map(({ name }) => ({ name, module: this.library.get(name).module }))
    const isAlone = aloneSteps.every((alone) => alone)
    const program = { module, imports, aloneSteps, isAlone, sharedWork }
    if (this.#queue) return { ...program, entries: undefined }
    const library: Record<string, WebAssembly.ExportValue> = {}
    for (const { name, module } of imports) library[name] = this.#instanceOf(module).exports[name]!
    const { exports } = new WebAssembly.Instance(module, { device: this.#imports, library })
    return { ...program, entries: exports as unknown as ProgramEntries }
  }

  /** Runs a program on all threads that it is worth. */
  run(program: LinkedProgram, bindings: Bindings): void {
    const { address, words, wordsAddress } = bindings
    const { entries, isAlone } = program
    if (!entries) {
      this.#queue!.run({ program, ...bindings, words: words.slice() }, isAlone)
      return
    }
    this.memory.words.set(words, wordsAddress >>> 2)
    if (this.#pool && !isAlone) this.#pool.run(program, -1, address, (threads) => entries.run(address, 0, threads))
    else entries.run(address, 0, 1)
  }

  /** Runs a program step by step likewise. @returns the microseconds of each step */
  async profile(program: LinkedProgram, bindings: Bindings): Promise<readonly number[]> {
    const { address, words, wordsAddress } = bindings
    const { entries, aloneSteps } = program
    if (!entries) return this.#queue!.profile({ program, ...bindings, words: words.slice() }, aloneSteps)
    this.memory.words.set(words, wordsAddress >>> 2)
    return aloneSteps.map((isAlone, step) => {
      const start = performance.now()
      if (this.#pool && !isAlone)
        this.#pool.run(program, step, address, (threads) => entries.runStep(step, address, 0, threads))
      else entries.runStep(step, address, 0, 1)
      return 1000 * (performance.now() - start)
    })
  }

  /** Gives back what is kept for a program. */
  forget(program: LinkedProgram): void {
    this.#pool?.forget(program)
    this.#queue?.forget(program)
  }

  /** States how much workspace a program needs: memory whose content does not outlive a run, so that all programs share it. */
  reserveWorkspace(program: object, byteLength: number): void {
    this.#needs.set(program, byteLength)
    this.#neededBytes = Math.max(this.#neededBytes, byteLength)
  }

  /** A program is gone: gives the workspace back when none of the others needs so much. */
  releaseWorkspace(program: object): void {
    this.#needs.delete(program)
    const needed = Math.max(0, ...this.#needs.values())
    this.#neededBytes = needed
    if (this.#workspace && (needed === 0 || this.#workspace.byteLength > 2 * needed)) this.#freeWorkspace()
  }

  /** The address of a workspace that is large enough for every live program. */
  workspace(): number {
    const needed = this.#neededBytes
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
      instance = new WebAssembly.Instance(module, { device: this.#imports })
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
