import { sizeOf, TesseraError, type TypedArray } from '@tessera/core'
import { type HostTensor, type OnDevice, type OnHost, stackExamples, toTensors } from './host-tensor.ts'
import { type HostRandom, hostRandom, permutation } from './random.ts'
import type { WorkerPool } from './worker-pool.ts'

/** What a function of `map` is told beside the item. */
export interface ItemContext {
  readonly index: number
  readonly epoch: number
  /** Random numbers for this item in this epoch: the same in every run. */
  readonly random: HostRandom
}

/** Where items come from: item `index` of an epoch, counted from 0. */
export type ItemSource<Item> = (index: number, epoch: number) => Item | Promise<Item>

export interface MapOptions {
  /** Of the random numbers; 0 by default. */
  readonly seed?: number
}

export interface BatchOptions<Item, Batch> {
  /** Whether a last batch that is not full is left out, so that all have one shape; true by default. */
  readonly dropLast?: boolean
  /** Makes a batch of its items; `stackExamples` by default. */
  readonly collate?: (items: readonly Item[]) => Batch | Promise<Batch>
}

/**
 * Items by number. Every stage (`shuffle`, `map`, `batch`) gives a data set again, whose item depends on its number, the epoch and seeds
 * alone: so runs repeat, and a resumed run goes on with the right data by starting at its step.
 *
 * @example
 * ```ts
 * import { Dataset } from '@tessera/nn/data'
 * const numbers = Dataset.of([10, 20, 30, 40, 50])
 * const batches = numbers.shuffle(1).map((x) => ({ x, square: x * x })).batch(2).tensors()
 * console.log(batches.length) // 2
 * for await (const { x, square } of batches) console.log(x.shape, square.shape) // [2], [2]
 * ```
 */
export class Dataset<Item> implements AsyncIterable<Item> {
  /** Number of items of an epoch. */
  readonly length: number
  readonly #source: ItemSource<Item>

  constructor(length: number, source: ItemSource<Item>) {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new TesseraError('DATA_OPTIONS', `Dataset: the length must be a whole number, got ${length}.`)
    }
    this.length = length
    this.#source = source
  }

  /** The items of an array. */
  static of<Item>(items: readonly Item[]): Dataset<Item> {
    return new Dataset(items.length, (index) => items[index]!)
  }

  /**
   * The rows of arrays with one first extent, for example all images and labels of a file. Rows are views: nothing is copied.
   *
   * @example
   * ```ts
   * import { Dataset } from '@tessera/nn/data'
   * const points = Dataset.ofRows({ x: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] }, y: { data: Int32Array.of(0, 1), shape: [2] } })
   * console.log((await points.at(1)).x.data) // [3, 4]
   * ```
   */
  static ofRows<Columns extends Readonly<Record<string, HostTensor>>>(
    columns: Columns,
  ): Dataset<{ readonly [Name in keyof Columns]: HostTensor<Columns[Name]['data']> }> {
    const entries = Object.entries(columns)
    const lengths = new Set(entries.map(([, { shape }]) => shape[0]))
    const [length] = lengths
    if (lengths.size !== 1 || length === undefined) {
      const found = entries.map(([name, { shape }]) => `${name} [${shape.join(', ')}]`)
      throw new TesseraError(
        'DATA_OPTIONS',
        `Dataset.ofRows: needs columns with one first extent, got ${found.join(', ')}.`,
      )
    }
    const rowOf = ({ data, shape }: HostTensor, index: number): HostTensor => {
      const size = sizeOf(shape.slice(1))
      return { data: data.subarray(index * size, (index + 1) * size) as TypedArray, shape: shape.slice(1) }
    }
    return new Dataset(
      length,
      (index) =>
        Object.fromEntries(entries.map(([name, column]) => [name, rowOf(column, index)])) as {
          readonly [Name in keyof Columns]: HostTensor<Columns[Name]['data']>
        },
    )
  }

  /** @throws TesseraError when there is no such item */
  async at(index: number, epoch = 0): Promise<Item> {
    if (!(Number.isInteger(index) && index >= 0 && index < this.length)) {
      throw new TesseraError('DATA_INDEX', `Dataset: there is no item ${index} among ${this.length}.`)
    }
    return this.#source(index, epoch)
  }

  /** One epoch, the first. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for (let index = 0; index < this.length; index++) yield await this.#source(index, 0)
  }

  /** The items in an order that is random, another one in each epoch, and the same for the same seed. */
  shuffle(seed: number): Dataset<Item> {
    // Two, because items of the next epoch are made ahead while those of this one are still asked for.
    const orders = new Map<number, Uint32Array>()
    return new Dataset(this.length, (index, epoch) => {
      const order = orders.get(epoch) ?? permutation(this.length, hostRandom(seed, epoch))
      if (!orders.has(epoch) && orders.size >= 2) orders.delete(orders.keys().next().value!)
      orders.set(epoch, order)
      return this.#source(order[index]!, epoch)
    })
  }

  map<Result>(
    transform: (item: Item, context: ItemContext) => Result | Promise<Result>,
    { seed = 0 }: MapOptions = {},
  ): Dataset<Result> {
    return new Dataset(this.length, async (index, epoch) =>
      transform(await this.#source(index, epoch), { index, epoch, random: hostRandom(seed, epoch, index) }),
    )
  }

  /** Like `map`, with the function that the pool's workers run. Use it under a `Loader` or `batch`, which ask for several items at once. */
  mapIn<Input, Result>(this: Dataset<Input>, pool: WorkerPool<Input, Result>): Dataset<Result> {
    return new Dataset(this.length, async (index, epoch) => pool.run(await this.at(index, epoch)))
  }

  /** Items `start` to `end`, which is excluded. */
  slice(start: number, end: number = this.length): Dataset<Item> {
    const first = Math.min(Math.max(start, 0), this.length)
    const last = Math.min(Math.max(end, first), this.length)
    return new Dataset(last - first, (index, epoch) => this.#source(first + index, epoch))
  }

  /** The first part of the items, and the rest: for training and validation. Shuffle before, with one seed and `fixed`, if the order matters. */
  split(part: number): [Dataset<Item>, Dataset<Item>] {
    const at = Math.round(this.length * part)
    return [this.slice(0, at), this.slice(at)]
  }

  /** The items as they come in one epoch, in all epochs: `data.shuffle(7).fixed()` is one random order for ever. */
  fixed(epoch = 0): Dataset<Item> {
    return new Dataset(this.length, (index) => this.#source(index, epoch))
  }

  /** These items, then others. */
  concatenate<Other>(other: Dataset<Other>): Dataset<Item | Other> {
    return new Dataset<Item | Other>(this.length + other.length, (index, epoch) =>
      index < this.length ? this.#source(index, epoch) : other.at(index - this.length, epoch),
    )
  }

  /** Batches of `size` items, whose items are made at the same time. */
  batch<Batch = OnHost<Item>>(size: number, options: BatchOptions<Item, Batch> = {}): Dataset<Batch> {
    const { dropLast = true, collate = stackExamples as (items: readonly Item[]) => Batch } = options
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new TesseraError('DATA_OPTIONS', `batch: the size must be a whole number from 1 up, got ${size}.`)
    }
    const length = dropLast ? Math.floor(this.length / size) : Math.ceil(this.length / size)
    return new Dataset(length, async (index, epoch) => {
      const first = index * size
      const count = Math.min(size, this.length - first)
      const items = Array.from({ length: count }, (_, i) => this.#source(first + i, epoch))
      return collate(await Promise.all(items))
    })
  }

  /** The items with tensors in the place of host tensors: the last stage. */
  tensors(): Dataset<OnDevice<Item>> {
    return this.map((item) => toTensors(item))
  }
}
