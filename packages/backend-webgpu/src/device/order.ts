/** Work waiting for what stands before it, or for its own pipelines. */
interface Entry {
  readonly work: () => void
  isReady: boolean
}

/**
 * Keeps the order in which runs and copies were asked for while pipelines are still being compiled: work runs at once when nothing stands
 * before it and it waits for nothing, otherwise as soon as both hold.
 */
export class WorkOrder {
  readonly #entries: Entry[] = []

  /** @param ready resolves when the work can run; it never rejects */
  enqueue(work: () => void, ready?: Promise<unknown>): void {
    if (this.#entries.length === 0 && !ready) {
      work()
      return
    }
    const entry: Entry = { work, isReady: !ready }
    this.#entries.push(entry)
    void ready?.then(() => {
      entry.isReady = true
      this.#drain()
    })
  }

  /** Lets nothing run that is not running yet, before a promise has settled. */
  holdUntil(settled: Promise<unknown>): void {
    const entry: Entry = { work: () => {}, isReady: false }
    this.#entries.unshift(entry)
    const proceed = (): void => {
      entry.isReady = true
      this.#drain()
    }
    settled.then(proceed, proceed)
  }

  #drain(): void {
    while (this.#entries[0]?.isReady) this.#entries.shift()!.work()
  }
}
