import { TesseraError } from '@tessera/core'
import { failureBytes, layout } from '../memory/layout.ts'
import type { StartWorker, WorkerHandle } from './workers.ts'

/** A program as workers run it. */
export interface ThreadProgram {
  readonly module: WebAssembly.Module
  /** The functions that it imports, and the library modules that export them. */
  readonly imports: readonly { readonly name: string; readonly module: WebAssembly.Module }[]
  /** Microseconds that its shared work takes one thread, roughly. */
  readonly sharedWork: number
}

export interface ThreadPoolOptions {
  readonly memory: WebAssembly.Memory
  /** Threads of a run, the calling one among them; at least 2. */
  readonly threads: number
  /** Threads that the machine can run at a time. */
  readonly processors: number
  readonly startWorker: StartWorker
}

/** Rounds in which a thread at a barrier looks for the others before it sleeps: some tens of microseconds. */
const barrierSpins = 20_000
/** Milliseconds in which an idle worker looks for a command before it sleeps: the time between the steps of a training loop. */
const commandSpin = 0.2
/** Microseconds of work from which on sleeping workers are woken. */
const workToWake = 150
/** Milliseconds that the calling thread sleeps before it looks whether the workers are still there. */
const sleep = 100

/** New crews in a row that may fail to start; then the calling thread goes on alone. */
const mostFailedStarts = 3

/** The position of a word in the memory. */
const at = (name: keyof typeof layout): number => layout[name] >>> 2

/** The workers of one time: when one is lost, all are replaced. */
interface Crew {
  readonly number: number
  readonly workers: WorkerHandle[]
  readonly ready: Promise<void>
  state: 'starting' | 'ready' | 'lost'
  /** Messages that every worker was sent. */
  messages: number
  readonly programs: Map<ThreadProgram, number>
  readonly libraries: Map<WebAssembly.Module, number>
}

/**
 * The threads of a device besides the calling one: workers that wait on a word of the shared memory for a command, run a program
 * each with its own number, and say when they are done. The calling thread is number 0 and comes back when all are done.
 */
export class ThreadPool {
  readonly threads: number
  readonly #options: ThreadPoolOptions
  readonly #words: Int32Array<ArrayBuffer | SharedArrayBuffer>
  #crew: Crew
  #programNumber = 0
  #failedStarts = 0
  /** When the workers began to look for the next command. */
  #idleSince = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(options: ThreadPoolOptions) {
    this.threads = options.threads
    this.#options = options
    // The words lie in the first page, which this array shows however much the memory grows.
    this.#words = new Int32Array(options.memory.buffer)
    // A thread that spins where there is no processor for it keeps the others from running.
    this.#words[at('barrierSpins')] = options.threads <= options.processors ? barrierSpins : 0
    this.#crew = this.#startCrew()
  }

  /** Resolves when all workers wait for commands; rejects with `TesseraError` `THREADS` if one cannot start. */
  get ready(): Promise<void> {
    return this.#crew.ready
  }

  /**
   * Runs one step of a program, or all for step −1, on all threads. The calling thread runs it alone while workers are still
   * starting, as after the loss of one, and when it would be done before sleeping workers were awake.
   *
   * @param run what the calling thread does
   * @throws TesseraError `THREAD_FAILED` if a thread traps or is lost; the next run works again
   */
  run(program: ThreadProgram, step: number, bindings: number, run: (threads: number) => void): void {
    if (this.#crew.state === 'lost') this.#replaceCrew()
    const crew = this.#crew
    const isTooSmall = program.sharedWork < workToWake && performance.now() - this.#idleSince > commandSpin
    if (crew.state !== 'ready' || isTooSmall) {
      run(1)
      return
    }
    const words = this.#words
    words[at('commandProgram')] = crew.programs.get(program) ?? this.#load(crew, program)
    words[at('commandStep')] = step
    words[at('commandBindings')] = bindings
    words[at('commandMessages')] = crew.messages
    words[at('finished')] = 0
    const command = Atomics.add(words, at('command'), 1) + 1
    Atomics.notify(words, at('command'))
    let failure: unknown
    try {
      run(this.threads)
    } catch (error) {
      failure = error
      this.#abort(0)
    }
    this.#join(crew, command | 0)
    this.#idleSince = performance.now()
    if (Atomics.load(words, at('aborted')) !== 0) {
      if (!crew.workers.every((worker) => worker.isAlive())) crew.state = 'lost'
      throw this.#failure(failure)
    }
  }

  /** Throws if a worker is gone; called by the calling thread when it has waited at a barrier for a while. */
  check(): void {
    const lost = this.#crew.workers.findIndex((worker) => !worker.isAlive())
    if (lost < 0) return
    this.#abort(lost + 1, 'its worker is gone')
    throw new Error(`the worker of thread ${lost + 1} is gone`)
  }

  /** Workers need not keep a program any more. */
  forget(program: ThreadProgram): void {
    const crew = this.#crew
    const number = crew.programs.get(program)
    if (number === undefined) return
    crew.programs.delete(program)
    this.#post(crew, { kind: 'forget', program: number })
  }

  /** Ends the workers; resolves when they are gone. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#crew.state = 'lost'
    await Promise.all(this.#crew.workers.map((worker) => worker.terminate()))
  }

  #startCrew(): Crew {
    const { memory, threads, processors, startWorker } = this.#options
    const words = this.#words
    const number = Atomics.add(words, at('crew'), 1) + 1
    const { promise, resolve, reject } = withResolvers()
    // Whoever awaits `ready` is told; a crew that replaces another is not awaited.
    promise.catch(() => {})
    const crew: Crew = {
      number,
      workers: [],
      ready: promise,
      state: 'starting',
      messages: 0,
      programs: new Map(),
      libraries: new Map(),
    }
    let waiting = threads - 1
    const command = Atomics.load(words, at('command'))
    const spin = threads <= processors ? commandSpin : 0
    for (let thread = 1; thread < threads; thread++) {
      const worker = startWorker(
        { memory, thread, threads, crew: number, command, spin },
        {
          ready: () => {
            worker.release()
            if (--waiting > 0 || crew.state !== 'starting') return
            crew.state = 'ready'
            this.#failedStarts = 0
            resolve()
          },
          gone: (reason) => {
            if (crew.state === 'starting') this.#failedStarts++
            crew.state = 'lost'
            reject(
              new TesseraError(
                'THREADS',
                `wasm: thread ${thread} of ${threads} does not start: ${reason}. Use fewer threads.`,
              ),
            )
          },
        },
      )
      crew.workers.push(worker)
    }
    return crew
  }

  #replaceCrew(): void {
    if (this.#failedStarts >= mostFailedStarts) return
    for (const worker of this.#crew.workers) void worker.terminate()
    this.#crew = this.#startCrew()
    for (const worker of this.#crew.workers) worker.release()
  }

  #load(crew: Crew, program: ThreadProgram): number {
    const libraries: { library: number; module: WebAssembly.Module }[] = []
    const imports = program.imports.map(({ name, module }) => {
      let library = crew.libraries.get(module)
      if (library === undefined) {
        library = crew.libraries.size
        crew.libraries.set(module, library)
        libraries.push({ library, module })
      }
      return { name, library }
    })
    const number = this.#programNumber++
    crew.programs.set(program, number)
    this.#post(crew, { kind: 'load', program: number, module: program.module, imports, libraries })
    return number
  }

  #post(crew: Crew, message: Parameters<WorkerHandle['post']>[0]): void {
    crew.messages++
    for (const worker of crew.workers) worker.post(message)
  }

  /** Waits until every worker is done with the command, or gone. */
  #join({ workers }: Crew, command: number): void {
    const words = this.#words
    const until = performance.now() + (this.#words[at('barrierSpins')] === 0 ? 0 : commandSpin)
    do {
      for (let round = 0; round < 100; round++) {
        if (Atomics.load(words, at('finished')) === workers.length) return
      }
    } while (performance.now() < until)
    for (;;) {
      const finished = Atomics.load(words, at('finished'))
      if (finished === workers.length) return
      if (Atomics.wait(words, at('finished'), finished, sleep) !== 'timed-out') continue
      const isFinished = (worker: number): boolean => Atomics.load(words, at('lastFinished') + worker + 1) === command
      const lost = workers.findIndex((worker, index) => !isFinished(index) && !worker.isAlive())
      if (lost < 0) continue
      this.#abort(lost + 1, 'its worker is gone')
      // The others stop at their next barrier; none of them may still write when this returns.
      if (workers.every((worker, index) => isFinished(index) || !worker.isAlive())) return
    }
  }

  /** Makes all threads stop at their next barrier. The first reason counts. */
  #abort(thread: number, reason = ''): void {
    const words = this.#words
    if (Atomics.compareExchange(words, at('aborted'), 0, thread + 1) === 0) {
      const text = new TextEncoder().encode(reason).subarray(0, failureBytes)
      new Uint8Array(words.buffer).set(text, layout.failure)
      words[at('failureLength')] = text.length
    }
    Atomics.notify(words, at('barrierGeneration'))
  }

  /** What went wrong in a run that was aborted; makes the words ready for the next run. */
  #failure(cause: unknown): TesseraError {
    const words = this.#words
    const thread = words[at('aborted')]! - 1
    const text = new Uint8Array(words.buffer).slice(layout.failure, layout.failure + words[at('failureLength')]!)
    const reason = new TextDecoder().decode(text) || String(cause)
    words[at('barrierArrived')] = 0
    words[at('aborted')] = 0
    return new TesseraError(
      'THREAD_FAILED',
      `wasm: run: thread ${thread} of ${this.threads} failed: ${reason}. The content of the program's outputs is lost; run it again.`,
      { cause },
    )
  }
}

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
