import { failureBytes, layout } from '../memory/layout.ts'

/** The first message to a worker. */
export interface WorkerStart {
  readonly memory: WebAssembly.Memory
  readonly thread: number
  readonly threads: number
  readonly crew: number
  /** The last command before the worker's time. */
  readonly command: number
  /** Milliseconds of looking for a command before going to sleep. */
  readonly spin: number
}

/** A later message: take a program in, or forget one. */
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

/**
 * What a worker runs, as text: so nothing must be found at run time, and no bundler touches it. Before it, an adapter declares
 * `listen(take)`, `post(message)`, `close()` and `nextMessage()`, which takes a message without returning to the event loop.
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

function obey(command) {
  const program = programs.get(words[at.commandProgram])
  const step = words[at.commandStep], bindings = words[at.commandBindings]
  try {
    if (step < 0) program.run(bindings, start.thread, start.threads)
    else program.runStep(step, bindings, start.thread, start.threads)
  } catch (error) {
    fail(error)
  }
  Atomics.store(words, at.lastFinished + start.thread, command)
  Atomics.add(words, at.finished, 1)
  Atomics.notify(words, at.finished)
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
    obey(command)
  }
}

listen((message) => {
  if (start) handle(message)
  else {
    start = message
    seen = start.command
    words = new Int32Array(start.memory.buffer)
    device = { memory: start.memory, check() {} }
    post('ready')
  }
  work()
})
`
