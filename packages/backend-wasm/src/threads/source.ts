import { failureBytes, layout } from '../memory/layout.ts'

/** The first message to a worker. */
export interface WorkerStart {
  readonly memory: WebAssembly.Memory
  readonly thread: number
  readonly threads: number
  readonly crew: number
  /** The last command before the worker's time. */
  readonly command: number
  /** True for a worker that takes runs from messages and commands the others: thread 0, where the caller must not wait. */
  readonly leads: boolean
  /** Milliseconds of looking for a command before going to sleep. */
  readonly spin: number
  /** Microseconds of work from which on sleeping workers are woken. */
  readonly workToWake: number
}

/** A later message to every worker: take a program in, or forget one. */
export type WorkerMessage =
  | {
      readonly kind: 'load'
      readonly program: number
      readonly module: WebAssembly.Module
      readonly imports: readonly { readonly name: string; readonly library: number }[]
      /** Library modules that the worker has not seen yet. */
      readonly libraries: readonly { readonly library: number; readonly module: WebAssembly.Module }[]
    }
  | { readonly kind: 'forget'; readonly program: number }

/** A run of a program with its bindings table, and words to put into the memory before, as the leader is told. */
export interface LeaderRun {
  readonly program: number
  readonly bindings: number
  readonly words: Int32Array
  readonly wordsAddress: number
  /** Messages that every worker was sent. */
  readonly messages: number
  readonly sharedWork: number
}

/** A later message to the leader, which it handles in order. */
export type LeaderMessage =
  | ({ readonly kind: 'run'; readonly isAlone: boolean } & LeaderRun)
  /** Runs the steps one by one: for each whether thread 0 does so alone. */
  | ({ readonly kind: 'profile'; readonly id: number; readonly aloneSteps: readonly boolean[] } & LeaderRun)
  | { readonly kind: 'write'; readonly address: number; readonly bytes: Uint8Array }
  /** Asks for a copy of memory; of no bytes, to know when everything before is done. */
  | { readonly kind: 'read'; readonly id: number; readonly address: number; readonly byteLength: number }

/** What the leader says. A failed run comes before the replies to what was asked after it. */
export type LeaderReply =
  | { readonly kind: 'failed'; readonly thread: number; readonly reason: string }
  | { readonly kind: 'read'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'profile'; readonly id: number; readonly microseconds: readonly number[] }

/**
 * What a worker runs, as text: so nothing must be found at run time, and no bundler touches it. Before it, an adapter declares
 * `listen(take)`, `post(message, transfer)`, `hold(then)`, which calls back when the owner can tell that the worker lives, `close()`
 * and `nextMessage()`, which takes a message without returning to the event loop, if the platform can.
 *
 * Since a worker that waits for commands on the shared memory receives no events, a command says how many messages were posted
 * before it; a worker that has handled fewer takes them first, and then obeys.
 */
export const workerSource = `
const at = ${JSON.stringify(Object.fromEntries(Object.entries(layout).map(([name, byte]) => [name, byte >>> 2])))}
const libraries = new Map(), programs = new Map()
let words, device, start, seen, handled = 0

function handle(message) {
  handled++
  const { kind, program } = message
  if (kind === 'forget') return void programs.delete(program)
  try {
    for (const { library, module } of message.libraries) libraries.set(library, new WebAssembly.Instance(module, { device }).exports)
    const imported = {}
    for (const { name, library } of message.imports) imported[name] = libraries.get(library)[name]
    programs.set(program, new WebAssembly.Instance(message.module, { device, library: imported }).exports)
  } catch (error) {
    programs.set(program, { run() { throw error }, runStep() { throw error } })
  }
}

function nextCommand() {
  const until = performance.now() + start.spin
  do {
    for (let round = 0; round < 100; round++) {
      const command = Atomics.load(words, at.command)
      if (command !== seen) return command
    }
  } while (performance.now() < until)
  for (;;) {
    const command = Atomics.load(words, at.command)
    if (command !== seen) return command
    Atomics.wait(words, at.command, seen)
  }
}

function fail(error) {
  if (Atomics.compareExchange(words, at.aborted, 0, start.thread + 1) === 0) {
    const text = new TextEncoder().encode(String(error)).subarray(0, ${failureBytes})
    new Uint8Array(words.buffer).set(text, 4 * at.failure)
    words[at.failureLength] = text.length
  }
  Atomics.notify(words, at.barrierGeneration)
}

function enter(program, step, bindings, threads) {
  const entries = programs.get(program)
  try {
    if (step < 0) entries.run(bindings, start.thread, threads)
    else entries.runStep(step, bindings, start.thread, threads)
  } catch (error) {
    fail(error)
  }
}

function work() {
  for (;;) {
    const command = nextCommand()
    if (Atomics.load(words, at.crew) !== start.crew) return close()
    while (handled < words[at.commandMessages]) {
      const message = nextMessage()
      if (!message) return
      handle(message)
    }
    seen = command
    enter(words[at.commandProgram], words[at.commandStep], words[at.commandBindings], start.threads)
    Atomics.store(words, at.lastFinished + start.thread, command)
    Atomics.add(words, at.finished, 1)
    Atomics.notify(words, at.finished)
  }
}

let idleSince = -Infinity

function command(program, step, bindings, messages) {
  words[at.commandProgram] = program
  words[at.commandStep] = step
  words[at.commandBindings] = bindings
  words[at.commandMessages] = messages
  words[at.finished] = 0
  Atomics.add(words, at.command, 1)
  Atomics.notify(words, at.command)
  enter(program, step, bindings, start.threads)
  const until = performance.now() + start.spin
  for (;;) {
    const finished = Atomics.load(words, at.finished)
    if (finished === start.threads - 1) break
    if (performance.now() >= until) Atomics.wait(words, at.finished, finished)
  }
  idleSince = performance.now()
}

// Memory that another thread has grown shows after growing it by nothing.
function reach(end) {
  if (end <= 4 * words.length) return
  start.memory.grow(0)
  words = new Int32Array(start.memory.buffer)
}

function reportFailure() {
  if (Atomics.load(words, at.aborted) === 0) return
  const text = new Uint8Array(words.buffer).slice(4 * at.failure, 4 * at.failure + words[at.failureLength])
  const thread = words[at.aborted] - 1
  words[at.barrierArrived] = 0
  words[at.aborted] = 0
  post({ kind: 'failed', thread, reason: new TextDecoder().decode(text) })
}

const leading = {
  load: handle,
  forget: handle,
  run(message) {
    runSteps(message, [-1], [message.isAlone])
  },
  profile(message) {
    const { id, aloneSteps } = message
    const microseconds = runSteps(message, aloneSteps.keys(), aloneSteps)
    return [{ kind: 'profile', id, microseconds }]
  },
  write({ address, bytes }) {
    reach(address + bytes.length)
    new Uint8Array(words.buffer).set(bytes, address)
  },
  read({ id, address, byteLength }) {
    reach(address + byteLength)
    const bytes = new Uint8Array(words.buffer).slice(address, address + byteLength)
    return [{ kind: 'read', id, bytes }, [bytes.buffer]]
  },
}

function runSteps({ program, bindings, words: given, wordsAddress, messages, sharedWork }, steps, alone) {
  reach(wordsAddress + 4 * given.length)
  words.set(given, wordsAddress >>> 2)
  const times = []
  for (const step of steps) {
    const begin = performance.now()
    const isTooSmall = sharedWork < start.workToWake && begin - idleSince > start.spin
    if (alone[times.length] || start.threads === 1 || isTooSmall) enter(program, step, bindings, 1)
    else command(program, step, bindings, messages)
    times.push(1000 * (performance.now() - begin))
  }
  reportFailure()
  return times
}

function lead(message) {
  const answer = leading[message.kind](message)
  // Counted first: whoever has the answer finds the queue idle.
  if (message.kind !== 'load' && message.kind !== 'forget') Atomics.add(words, at.completed, 1)
  if (answer) post(...answer)
}

listen((message) => {
  if (start) {
    if (start.leads) return lead(message)
    handle(message)
    return work()
  }
  start = message
  seen = start.command
  words = new Int32Array(start.memory.buffer)
  device = { memory: start.memory, check() {} }
  hold(() => {
    post('ready')
    if (!start.leads) work()
  })
})
`
