import type { TesseraError } from '@tessera/core'
import { layout } from '../memory/layout.ts'
import {
  abort,
  at,
  Crew,
  commandSpin,
  type ThreadOptions,
  type ThreadProgram,
  threadFailed,
  workToWake,
} from './crew.ts'

/** Milliseconds that the calling thread sleeps before it looks whether the workers are still there. */
const sleep = 100
/** New crews in a row that may fail to start; then the calling thread goes on alone. */
const mostFailedStarts = 3

/**
 * The threads of a device besides the calling one: workers that wait on a word of the shared memory for a command, run a program
 * each with its own number, and say when they are done. The calling thread is number 0 and comes back when all are done, so it
 * must be one that may wait: not the main thread of a page.
 */
export class ThreadPool {
  readonly threads: number
  readonly #options: ThreadOptions
  readonly #words: Int32Array<ArrayBuffer | SharedArrayBuffer>
  #crew: Crew
  #failedStarts = 0
  /** When the workers began to look for the next command. */
  #idleSince = Number.NEGATIVE_INFINITY
  #closed = false

  /** @param options at least 2 threads */
  constructor(options: ThreadOptions) {
    this.threads = options.threads
    this.#options = options
    // The words lie in the first page, which this array shows however much the memory grows.
    this.#words = new Int32Array(options.memory.buffer)
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
    words[at('commandProgram')] = crew.load(program)
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
      abort(words, 0)
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
    abort(this.#words, lost + 1, 'its worker is gone')
    throw new Error(`the worker of thread ${lost + 1} is gone`)
  }

  /** Workers need not keep a program any more. */
  forget(program: ThreadProgram): void {
    this.#crew.forget(program)
  }

  /** Ends the workers; resolves when they are gone. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#crew.terminate()
  }

  #startCrew(): Crew {
    const crew = new Crew({
      ...this.#options,
      firstThread: 1,
      lost: (_thread, _reason, isStarting) => {
        if (isStarting) this.#failedStarts++
      },
    })
    crew.ready.then(
      () => {
        this.#failedStarts = 0
      },
      () => {},
    )
    return crew
  }

  #replaceCrew(): void {
    if (this.#failedStarts >= mostFailedStarts) return
    void this.#crew.terminate()
    this.#crew = this.#startCrew()
    for (const worker of this.#crew.workers) worker.release()
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
      abort(words, lost + 1, 'its worker is gone')
      // The others stop at their next barrier; none of them may still write when this returns.
      if (workers.every((worker, index) => isFinished(index) || !worker.isAlive())) return
    }
  }

  /** What went wrong in a run that was aborted; makes the words ready for the next run. */
  #failure(cause: unknown): TesseraError {
    const words = this.#words
    const thread = words[at('aborted')]! - 1
    const text = new Uint8Array(words.buffer).slice(layout.failure, layout.failure + words[at('failureLength')]!)
    words[at('barrierArrived')] = 0
    words[at('aborted')] = 0
    return threadFailed(thread, this.threads, new TextDecoder().decode(text) || String(cause), cause)
  }
}
