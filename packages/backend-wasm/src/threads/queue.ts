import { TesseraError } from '@tessera/core'
import { abort, at, Crew, type ThreadOptions, type ThreadProgram, threadFailed } from './crew.ts'
import type { LeaderMessage, LeaderReply, LeaderRun } from './source.ts'

/** What is to run: a program, the address of its bindings table, and words to put into the memory before. */
export interface QueuedRun {
  readonly program: ThreadProgram
  readonly address: number
  readonly words: Int32Array
  readonly wordsAddress: number
}

interface Waiting {
  resolve(reply: LeaderReply): void
  reject(error: TesseraError): void
}

/** New crews in a row that may fail to start; then runs fail. */
const mostFailedStarts = 3

/**
 * The threads of a device whose owner must not wait, as the main thread of a page: all of them are workers, and the first one leads.
 * It takes runs, writes and reads from messages and handles them in order, so that `run` returns at once.
 *
 * If a worker traps or is lost, the next promise that the owner asks for rejects with `THREAD_FAILED`; workers that were lost are
 * replaced, and what is asked for after that works again.
 */
export class CommandQueue {
  readonly threads: number
  readonly #options: ThreadOptions
  readonly #words: Int32Array<ArrayBuffer | SharedArrayBuffer>
  readonly #waiting = new Map<number, Waiting>()
  #crew: Crew
  /** Messages that the leader counts, so far. */
  #submitted = 0
  #nextId = 0
  #failedStarts = 0
  #failure: TesseraError | undefined
  /** Set when no worker starts any more. */
  #dead: TesseraError | undefined
  /** While lost workers are not gone yet and must not be replaced: messages to their successors. */
  #held: (() => void)[] | undefined
  #closed = false

  constructor(options: ThreadOptions) {
    this.threads = options.threads
    this.#options = options
    this.#words = new Int32Array(options.memory.buffer)
    this.#crew = this.#startCrew()
  }

  /** Resolves when all workers wait for commands; rejects with `TesseraError` `THREADS` if one cannot start. */
  get ready(): Promise<void> {
    return this.#crew.ready
  }

  /** True when everything asked for so far has been done. */
  get isIdle(): boolean {
    return !this.#held && Atomics.load(this.#words, at('completed')) === (this.#submitted | 0)
  }

  run(run: QueuedRun, isAlone: boolean): void {
    this.#submit(() => ({ kind: 'run', isAlone, ...this.#leaderRun(run) }))
  }

  /** Microseconds of each step. */
  async profile(run: QueuedRun, aloneSteps: readonly boolean[]): Promise<readonly number[]> {
    const reply = await this.#ask((id) => ({ kind: 'profile', id, aloneSteps, ...this.#leaderRun(run) }))
    return reply.kind === 'profile' ? reply.microseconds : []
  }

  write(address: number, bytes: Uint8Array): void {
    const copy = bytes.slice()
    this.#submit(() => ({ kind: 'write', address, bytes: copy }), [copy.buffer])
  }

  /** A copy of memory as it is when everything asked for so far has been done. */
  async read(address: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    const reply = await this.#ask((id) => ({ kind: 'read', id, address, byteLength }))
    return reply.kind === 'read' ? reply.bytes : new Uint8Array()
  }

  /** Workers need not keep a program any more. */
  forget(program: ThreadProgram): void {
    this.#crew.forget(program)
  }

  /** Ends the workers, whatever they are doing; resolves when they are gone. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const { ended } = this.#endCrew(
      new TesseraError('CLOSED', 'wasm: the device was closed before the result was there.'),
    )
    await ended
  }

  #leaderRun({ program, address, words, wordsAddress }: QueuedRun): LeaderRun {
    const number = this.#crew.load(program)
    const { sharedWork } = program
    return { program: number, bindings: address, words, wordsAddress, messages: this.#crew.messages, sharedWork }
  }

  #ask(message: (id: number) => LeaderMessage): Promise<LeaderReply> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#submit(() => message(id))
    })
  }

  #submit(message: () => LeaderMessage, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#dead) {
      this.#rejectAll(this.#dead)
      return
    }
    if (this.#held) {
      this.#held.push(() => this.#submit(message, transfer))
      return
    }
    this.#submitted++
    this.#crew.workers[0]!.post(message(), transfer)
  }

  #reply(reply: LeaderReply): void {
    if (reply.kind === 'failed') {
      this.#failure ??= threadFailed(reply.thread, this.threads, reply.reason)
      return
    }
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    const failure = this.#failure
    this.#failure = undefined
    if (failure) waiting?.reject(failure)
    else waiting?.resolve(reply)
  }

  #startCrew(): Crew {
    const crew = new Crew({
      ...this.#options,
      firstThread: 0,
      reply: (reply) => {
        if (crew === this.#crew) this.#reply(reply)
      },
      lost: (thread, reason, isStarting) => {
        if (isStarting) this.#failedStarts++
        this.#replaceCrew(threadFailed(thread, this.threads, reason))
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

  /** Ends all workers. What was asked for fails; if nobody waits for anything, the next to ask is told. */
  #endCrew(failure: TesseraError): { readonly ended: Promise<void> } {
    if (!this.isIdle && this.#waiting.size === 0) this.#failure = failure
    this.#rejectAll(failure)
    // Threads that wait for others at a barrier need not wait any longer.
    abort(this.#words, 0, failure.message)
    return { ended: this.#crew.terminate() }
  }

  /** Starts new workers when the old ones, which may still be writing, are gone. */
  #replaceCrew(failure: TesseraError): void {
    const { ended } = this.#endCrew(failure)
    const held: (() => void)[] = []
    this.#held = held
    void ended.then(() => {
      if (this.#closed) return
      if (this.#failedStarts >= mostFailedStarts) {
        this.#dead = failure
        this.#rejectAll(failure)
        return
      }
      const words = this.#words
      for (const word of ['barrierArrived', 'aborted', 'finished', 'completed'] as const) words[at(word)] = 0
      this.#submitted = 0
      this.#crew = this.#startCrew()
      this.#held = undefined
      for (const submit of held) submit()
    })
  }

  #rejectAll(error: TesseraError): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
