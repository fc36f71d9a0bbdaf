/** What stands at fixed addresses, the same in every device's memory. Address 0 stays unused. */
export const layout = {
  /** Words of the barrier between threads, on cache lines of their own. */
  barrierArrived: 64,
  barrierGeneration: 128,
  /** Counts the commands to the workers, which wait for it to change. */
  command: 192,
  /** The command: program, step (−1: all) and bindings table. */
  commandProgram: 196,
  commandStep: 200,
  commandBindings: 204,
  /** Messages that every worker must have handled before it obeys. */
  commandMessages: 208,
  /** The crew of workers that is meant; those of an earlier one go. */
  crew: 212,
  /** Messages that a leading worker is done with. */
  completed: 216,
  /** Workers that are done with the command. */
  finished: 256,
  /** 0, or 1 + the number of the first thread that failed: all others stop at their next barrier. */
  aborted: 320,
  /** Rounds of looking before a thread that waits at a barrier goes to sleep. */
  barrierSpins: 324,
  /** Why the thread failed: bytes of UTF-8, and how many. */
  failureLength: 328,
  failure: 384,
  /** For each thread the last command that it is done with. */
  lastFinished: 1024,
  /** First byte that the allocator hands out. */
  heap: 2048,
} as const

/** Most bytes of the text at `layout.failure`. */
export const failureBytes = layout.lastFinished - layout.failure

/** Most threads that a device may have: each has a word at `layout.lastFinished`. */
export const maximumThreads = (layout.heap - layout.lastFinished) / 4

export const pageBytes = 65536
export const maximumPages = 65536
