import type { MeasuredProgram } from '../debug/debug.ts'
import type { Node } from '../graph/node.ts'
import type { Runnable } from './staged.ts'

export interface CachedProgram extends MeasuredProgram {
  readonly executable: Runnable
  /** For each leaf of the program, its place among the leaves of the recorded graph. */
  readonly leafOrder: readonly number[]
  readonly outputs: readonly ProgramOutput[]
}

/** What a run gives for one output. */
export interface ProgramOutput {
  /** A leaf of its shape and format. */
  readonly model: Node<'leaf'>
  readonly bytes: number
  /** The input whose memory it takes over, or −1. */
  readonly donor: number
}

/** Compiled programs by the structure of their graph; the least recently used goes first. */
export class ProgramCache {
  readonly #programs = new Map<string, CachedProgram>()
  readonly #capacity: number

  constructor(capacity = 256) {
    this.#capacity = capacity
  }

  get(key: string, compile: () => CachedProgram): CachedProgram {
    const known = this.#programs.get(key)
    if (known) this.#programs.delete(key)
    const program = known ?? compile()
    this.#programs.set(key, program)
    if (this.#programs.size > this.#capacity) {
      const [oldest, { executable }] = this.#programs.entries().next().value!
      this.#programs.delete(oldest)
      executable.dispose()
    }
    return program
  }

  clear(): void {
    for (const { executable } of this.#programs.values()) executable.dispose()
    this.#programs.clear()
  }
}
