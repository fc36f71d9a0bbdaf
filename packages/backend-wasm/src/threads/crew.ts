import { TesseraError } from '@tessera/core'
import { failureBytes, layout } from '../memory/layout.ts'
import type { LeaderReply, WorkerMessage } from './source.ts'
import type { StartWorker, WorkerHandle } from './workers.ts'

/** A program as workers run it. */
export interface ThreadProgram {
  readonly module: WebAssembly.Module
  /** The functions that it imports, and the library modules that export them. */
  readonly imports: readonly { readonly name: string; readonly module: WebAssembly.Module }[]
  /** Microseconds that its shared work takes one thread, roughly. */
  readonly sharedWork: number
}

export interface ThreadOptions {
  readonly memory: WebAssembly.Memory
  /** Threads of a run. */
  readonly threads: number
  /** Threads that the machine can run at a time. */
  readonly processors: number
  readonly startWorker: StartWorker
}

export interface CrewOptions extends ThreadOptions {
  /** Thread of the first worker: 0 if a worker leads the others, 1 if the calling thread does. */
  readonly firstThread: 0 | 1
  /** A worker is gone, or cannot start. Called once, and not after `terminate`. */
  lost?(thread: number, reason: string, isStarting: boolean): void
  /** What the leading worker says. */
  reply?(reply: LeaderReply): void
}

/** Rounds in which a thread at a barrier looks for the others before it sleeps: some tens of microseconds. */
const barrierSpins = 20_000
/** Milliseconds in which an idle worker looks for a command before it sleeps: the time between the steps of a training loop. */
export const commandSpin = 0.2
/** Microseconds of work from which on sleeping workers are woken. */
export const workToWake = 150
/** The position of a word in the memory. */
export const at = (name: keyof typeof layout): number => layout[name] >>> 2

/** The workers of one time: when one is lost, all are replaced. */
export class Crew {
  readonly workers: WorkerHandle[] = []
  /** Resolves when all workers wait for commands; rejects with `TesseraError` `THREADS` if one cannot start. */
  readonly ready: Promise<void>
  state: 'starting' | 'ready' | 'lost' = 'starting'
  /** Messages that every worker was sent. */
  messages = 0
  readonly #words: Int32Array
  readonly #programs = new Map<ThreadProgram, number>()
  readonly #libraries = new Map<WebAssembly.Module, number>()

  constructor(options: CrewOptions) {
    const { memory, threads, processors, startWorker, firstThread } = options
    const words = new Int32Array(memory.buffer)
    this.#words = words
    // A thread that spins where there is no processor for it keeps the others from running.
    words[at('barrierSpins')] = threads <= processors ? barrierSpins : 0
    const crew = Atomics.add(words, at('crew'), 1) + 1
    const command = Atomics.load(words, at('command'))
    const { promise, resolve, reject } = withResolvers()
    // Whoever awaits `ready` is told; a crew that replaces another is not awaited.
    promise.catch(() => {})
    this.ready = promise
    let waiting = threads - firstThread
    for (let thread = firstThread; thread < threads; thread++) {
      const spin = threads <= processors ? commandSpin : 0
      const worker = startWorker(
        { memory, thread, threads, crew, command, leads: thread === 0, spin, workToWake },
        {
          ready: () => {
            worker.release()
            if (--waiting > 0 || this.state !== 'starting') return
            this.state = 'ready'
            resolve()
          },
          gone: (reason) => {
            reject(
              new TesseraError(
                'THREADS',
                `wasm: thread ${thread} of ${threads} does not start: ${reason}. Use fewer threads.`,
              ),
            )
            const { state } = this
            this.state = 'lost'
            if (state !== 'lost') options.lost?.(thread, reason, state === 'starting')
          },
          reply: (reply) => options.reply?.(reply),
        },
      )
      this.workers.push(worker)
    }
  }

  /** The number of a program, which the workers are told if they do not know it. */
  load(program: ThreadProgram): number {
    const known = this.#programs.get(program)
    if (known !== undefined) return known
    const libraries: { library: number; module: WebAssembly.Module }[] = []
    const imports = program.imports.map(({ name, module }) => {
      let library = this.#libraries.get(module)
      if (library === undefined) {
        library = this.#libraries.size
        this.#libraries.set(module, library)
        libraries.push({ library, module })
      }
      return { name, library }
    })
    const number = programNumber++
    this.#programs.set(program, number)
    this.#post({ kind: 'load', program: number, module: program.module, imports, libraries })
    return number
  }

  /** Workers need not keep a program any more. */
  forget(program: ThreadProgram): void {
    const number = this.#programs.get(program)
    if (number === undefined) return
    this.#programs.delete(program)
    this.#post({ kind: 'forget', program: number })
  }

  /** Ends the workers; resolves when they are gone. */
  async terminate(): Promise<void> {
    this.state = 'lost'
    // Those that wait for a command see that it is not for them, and go by themselves: browsers take two seconds to end a worker
    // that is waiting.
    const words = this.#words
    Atomics.add(words, at('crew'), 1)
    Atomics.add(words, at('command'), 1)
    Atomics.notify(words, at('command'))
    await Promise.all(this.workers.map((worker) => worker.terminate()))
  }

  #post(message: WorkerMessage): void {
    this.messages++
    for (const worker of this.workers) worker.post(message)
  }
}

/** Programs have different numbers in all crews of the process. */
let programNumber = 0

/** As `Promise.withResolvers`, which Node 20 lacks. */
function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve = (): void => {}
  let reject = (_: unknown): void => {}
  const promise = new Promise<void>((resolved, rejected) => {
    resolve = resolved
    reject = rejected
  })
  return { promise, resolve, reject }
}

/** Makes all threads stop at their next barrier. The first reason counts. */
export function abort(words: Int32Array, thread: number, reason = ''): void {
  if (Atomics.compareExchange(words, at('aborted'), 0, thread + 1) === 0) {
    const text = new TextEncoder().encode(reason).subarray(0, failureBytes)
    new Uint8Array(words.buffer).set(text, layout.failure)
    words[at('failureLength')] = text.length
  }
  Atomics.notify(words, at('barrierGeneration'))
}

/** What a run that was aborted ends with. */
export function threadFailed(thread: number, threads: number, reason: string, cause?: unknown): TesseraError {
  return new TesseraError(
    'THREAD_FAILED',
    `wasm: run: thread ${thread} of ${threads} failed: ${reason}. The content of the program's outputs is lost; run it again.`,
    { cause },
  )
}
