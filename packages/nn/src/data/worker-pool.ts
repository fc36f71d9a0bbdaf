import { TesseraError } from '@tessera/core'

export interface WorkerPoolOptions {
  /** By default one less than the machine's threads, at least one and at most four. */
  readonly workers?: number
}

/** A worker, whatever the platform. */
interface WorkerHandle {
  post(message: unknown, transfer: readonly ArrayBuffer[]): void
  terminate(): void
}

interface Events {
  message(message: Reply): void
  gone(reason: string): void
}

interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

interface Job {
  readonly item: unknown
  resolve(result: unknown): void
  reject(error: Error): void
}

/** Runs in a worker, after `listen` and `post` of its platform. Results give their memory away. */
const source = `
let transform
const buffersOf = (value, found = new Set()) => {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength) found.add(value.buffer)
  } else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) buffersOf(item, found)
  return found
}
listen(async ({ id, module, item }) => {
  try {
    transform ??= (await import(module)).default
    if (typeof transform !== 'function') throw new TypeError('the module has no function as default export')
    const result = await transform(item)
    post({ id, result }, [...buffersOf(result)])
  } catch (error) {
    post({ id, error: error instanceof Error ? error.stack ?? error.message : String(error) }, [])
  }
})`

/**
 * Runs a function in worker threads: `worker_threads` in Node, Workers in browsers. The function is the default export of a module of its own,
 * given by its URL, so that bundlers see it.
 *
 * @example
 * ```ts sketch
 * // decode.ts: export default (file: Uint8Array) => decodeImage(file)
 * const pool = new WorkerPool<Uint8Array, HostTensor>(new URL('./decode.ts', import.meta.url))
 * const images = files.mapIn(pool).batch(64).tensors()
 * …
 * pool.close()
 * ```
 */
export class WorkerPool<Input, Result> {
  readonly #module: string
  readonly #count: Promise<number>
  readonly #idle: { handle: WorkerHandle; jobs: Map<number, Job> }[] = []
  readonly #waiting: Job[] = []
  readonly #all = new Set<{ handle: WorkerHandle; jobs: Map<number, Job> }>()
  #starting = 0
  #nextId = 0
  #closed = false

  constructor(module: URL, { workers }: WorkerPoolOptions = {}) {
    if (workers !== undefined && !(Number.isSafeInteger(workers) && workers >= 1)) {
      throw new TesseraError('DATA_OPTIONS', `WorkerPool: workers must be a whole number from 1 up, got ${workers}.`)
    }
    this.#module = module.href
    this.#count = workers === undefined ? defaultCount() : Promise.resolve(workers)
  }

  /** @throws TesseraError with the worker's own message when the function fails */
  async run(item: Input): Promise<Result> {
    const limit = await this.#count
    if (this.#closed) throw new TesseraError('WORKER_POOL_CLOSED', 'WorkerPool: the pool is closed. Make another one.')
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#idle.length === 0 && this.#all.size + this.#starting < limit) void this.#start()
      this.#assign()
    }) as Promise<Result>
  }

  /** Ends the workers; what they have not done is rejected. */
  close(): void {
    this.#closed = true
    for (const worker of this.#all) {
      worker.handle.terminate()
      this.#fail(worker, 'the pool was closed')
    }
    for (const job of this.#waiting.splice(0)) job.reject(failure('the pool was closed'))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #start(): Promise<void> {
    this.#starting++
    const jobs = new Map<number, Job>()
    try {
      const worker: { handle: WorkerHandle; jobs: Map<number, Job> } = {
        jobs,
        handle: await startWorker({
          message: ({ id, result, error }) => {
            const job = jobs.get(id)
            jobs.delete(id)
            if (error === undefined) job?.resolve(result)
            else job?.reject(failure(error))
            this.#idle.push(worker)
            this.#assign()
          },
          gone: (reason) => this.#fail(worker, reason),
        }),
      }
      if (this.#closed) {
        worker.handle.terminate()
        return
      }
      this.#all.add(worker)
      this.#idle.push(worker)
      this.#assign()
    } catch (error) {
      for (const job of this.#waiting.splice(0)) job.reject(failure(String(error)))
    } finally {
      this.#starting--
    }
  }

  #assign(): void {
    while (this.#idle.length > 0 && this.#waiting.length > 0) {
      const { handle, jobs } = this.#idle.pop()!
      const job = this.#waiting.shift()!
      const id = this.#nextId++
      jobs.set(id, job)
      handle.post({ id, module: this.#module, item: job.item }, [])
    }
  }

  #fail(worker: { handle: WorkerHandle; jobs: Map<number, Job> }, reason: string): void {
    this.#all.delete(worker)
    const place = this.#idle.indexOf(worker)
    if (place >= 0) this.#idle.splice(place, 1)
    for (const job of worker.jobs.values()) job.reject(failure(`the worker ended: ${reason}`))
    worker.jobs.clear()
    if (!this.#closed && this.#waiting.length > 0 && this.#all.size + this.#starting === 0) void this.#start()
  }
}

function failure(message: string): TesseraError {
  return new TesseraError('WORKER_FAILED', `WorkerPool: the function of the workers failed: ${message}`)
}

async function defaultCount(): Promise<number> {
  const os = (await nodeModule('node:os')) as { availableParallelism(): number } | undefined
  const threads = os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1
  return Math.min(Math.max(threads - 1, 1), 4)
}

/** A module of Node, loaded in a way that neither browsers nor bundlers see. */
async function nodeModule(name: string): Promise<unknown> {
  const { process } = globalThis as {
    process?: { readonly versions?: { readonly node?: string }; getBuiltinModule?(name: string): unknown }
  }
  if (process?.versions?.node === undefined) return undefined
  return process.getBuiltinModule?.(name) ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))
}

/** The part of `node:worker_threads` that is used. */
interface NodeWorker {
  on(event: 'message', listener: (message: Reply) => void): void
  on(event: 'error' | 'exit', listener: (reason: unknown) => void): void
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void
  unref(): void
  ref(): void
  terminate(): Promise<unknown>
}
type NodeWorkerConstructor = new (source: string, options: Record<string, unknown>) => NodeWorker

async function startWorker(events: Events): Promise<WorkerHandle> {
  const node = (await nodeModule('node:worker_threads')) as { readonly Worker: NodeWorkerConstructor } | undefined
  if (node) return startNodeWorker(node.Worker, events)
  const prelude = `const listen = (take) => { onmessage = ({ data }) => take(data) }\nconst post = (message, transfer) => postMessage(message, transfer)\n`
  const url = URL.createObjectURL(new Blob([prelude + source], { type: 'text/javascript' }))
  const worker = new Worker(url, { type: 'module' })
  worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => events.message(data))
  worker.addEventListener('error', (event) => events.gone(event.message))
  return {
    post: (message, transfer) => worker.postMessage(message, [...transfer]),
    terminate: () => {
      worker.terminate()
      URL.revokeObjectURL(url)
    },
  }
}

function startNodeWorker(NodeWorker: NodeWorkerConstructor, events: Events): WorkerHandle {
  const prelude = `const { parentPort } = require('node:worker_threads')
const listen = (take) => parentPort.on('message', take)
const post = (message, transfer) => parentPort.postMessage(message, transfer)
`
  const worker = new NodeWorker(prelude + source, { eval: true, execArgv: [], name: 'tessera-data' })
  // Idle workers do not keep the process running; those with work do.
  let busy = 0
  worker.unref()
  worker.on('message', (message) => {
    if (--busy === 0) worker.unref()
    events.message(message)
  })
  worker.on('error', (error) => events.gone(String(error)))
  worker.on('exit', (code) => events.gone(`it ended with code ${code}`))
  return {
    post: (message, transfer) => {
      if (busy++ === 0) worker.ref()
      worker.postMessage(message, transfer)
    },
    terminate: () => void worker.terminate(),
  }
}
