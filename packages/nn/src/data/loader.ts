import { TesseraError } from '@tessera/core'
import type { Dataset } from './dataset.ts'

export interface LoaderOptions {
  /** Items that are made ahead of the one that is asked for; 2 by default. */
  readonly prefetch?: number
  /** Steps to iterate over; by default one epoch. `Infinity` for ever. */
  readonly steps?: number
  /** The step to start at: what `step` was when a run was saved. */
  readonly start?: number
}

/**
 * The items of a data set, epoch after epoch, made ahead while others are used. Step `n` is item `n mod length` of epoch
 * `⌊n / length⌋`, whether it is asked for with `at`, as `train` does, or comes in a loop.
 *
 * @example
 * ```ts
 * import { Dataset, Loader } from '@tessera/nn/data'
 * const loader = new Loader(Dataset.of(['a', 'b', 'c']).shuffle(0), { steps: 5, start: 2 })
 * const seen: string[] = []
 * for await (const item of loader) seen.push(item)
 * console.log(seen.length, loader.step) // 3 5
 * ```
 */
export class Loader<Item> implements AsyncIterable<Item> {
  readonly dataset: Dataset<Item>
  readonly prefetch: number
  readonly steps: number
  /** The next step of a loop: save it, and give it as `start` to go on. */
  step: number
  readonly #pending = new Map<number, Promise<Item>>()

  constructor(dataset: Dataset<Item>, { prefetch = 2, steps = dataset.length, start = 0 }: LoaderOptions = {}) {
    if (dataset.length === 0) throw new TesseraError('DATA_OPTIONS', 'Loader: the data set is empty.')
    for (const [name, value] of Object.entries({ prefetch, start })) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw new TesseraError('DATA_OPTIONS', `Loader: ${name} must be a whole number, got ${value}.`)
      }
    }
    this.dataset = dataset
    this.prefetch = prefetch
    this.steps = steps
    this.step = start
  }

  /** The item of a step, from 0. Those of the next steps are begun. Bound, so that it can be passed on as a function. */
  readonly at = (step: number): Promise<Item> => {
    // What was made ahead for other steps is not needed when the reader jumps.
    for (const pending of this.#pending.keys()) {
      if (pending < step || pending > step + this.prefetch) this.#pending.delete(pending)
    }
    const item = this.#begin(step)
    this.#pending.delete(step)
    for (let next = step + 1; next <= step + this.prefetch && next < Math.max(this.steps, step + 1); next++) {
      this.#pending.set(next, this.#begin(next))
    }
    return item
  }

  #begin(step: number): Promise<Item> {
    const known = this.#pending.get(step)
    if (known) return known
    const { length } = this.dataset
    const item = this.dataset.at(step % length, Math.floor(step / length))
    // Its failure is reported when the step is asked for, which may be never.
    item.catch(() => undefined)
    return item
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    while (this.step < this.steps) {
      const item = await this.at(this.step)
      this.step++
      yield item
    }
  }
}
