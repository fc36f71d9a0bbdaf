import { afterEach, describe, expect, it } from 'vitest'
import { supportsThreads } from '../variant.ts'
import type { ThreadProgram } from './crew.ts'
import { ThreadPool } from './pool.ts'
import { createProgram, type Entries, failing, results } from './test-program.ts'
import { type WorkerHandle, workerStarter } from './workers.ts'

/** A pool with a program, and a hold on its workers. */
class TestPool {
  readonly memory = new WebAssembly.Memory({ initial: 1, maximum: 1000, shared: true })
  readonly workers: WorkerHandle[] = []
  readonly pool: ThreadPool
  readonly #program: ThreadProgram
  readonly #entries: Entries

  private constructor(threads: number, sharedWork: number, startWorker: Parameters<typeof startedBy>[0]) {
    this.#program = { ...createProgram(), sharedWork }
    this.pool = new ThreadPool({
      memory: this.memory,
      threads,
      processors: 2,
      startWorker: startedBy(startWorker, this.workers),
    })
    const device = { memory: this.memory, check: () => this.pool.check() }
    this.#entries = new WebAssembly.Instance(this.#program.module, { device }).exports as unknown as Entries
  }

  static async start(threads: number, sharedWork = Number.POSITIVE_INFINITY): Promise<TestPool> {
    const startWorker = await workerStarter()
    if (typeof startWorker !== 'function') throw new Error(startWorker.unavailable)
    const test = new TestPool(threads, sharedWork, startWorker)
    opened.push(test.pool)
    await test.pool.ready
    return test
  }

  /** Runs the program; gives the results of all threads. */
  run({ step = -1, fail = -1, address = results } = {}): number[] {
    const words = new Int32Array(this.memory.buffer)
    const { threads } = this.pool
    const bindings = step < 0 ? address : address - step
    words[failing / 4] = fail
    words.fill(0, address / 4, address / 4 + threads)
    this.pool.run(this.#program, step, bindings, (entering) => {
      if (step < 0) this.#entries.run(bindings, 0, entering)
      else this.#entries.runStep(step, bindings, 0, entering)
    })
    return [...words.subarray(address / 4, address / 4 + threads)]
  }

  forget(): void {
    this.pool.forget(this.#program)
  }
}

function startedBy(startWorker: ConstructorParameters<typeof ThreadPool>[0]['startWorker'], workers: WorkerHandle[]) {
  return (...given: Parameters<typeof startWorker>): WorkerHandle => {
    const worker = startWorker(...given)
    workers.push(worker)
    return worker
  }
}

const opened: ThreadPool[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((pool) => pool.close()))
})

describe.skipIf(!supportsThreads())('ThreadPool', () => {
  for (const threads of [2, 3, 7]) {
    it(`runs a program and its steps on ${threads} threads, and returns when all are done`, async () => {
      const pool = await TestPool.start(threads)
      const all = Array.from({ length: threads }, (_, thread) => thread + 1)
      for (let i = 0; i < 20; i++) {
        expect(pool.run()).toEqual(all)
        expect(pool.run({ step: 4 * i })).toEqual(all)
      }
    })
  }

  it('wakes workers that have gone to sleep', async () => {
    const pool = await TestPool.start(2)
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(pool.run()).toEqual([1, 2])
    }
  })

  it('does not wake sleeping workers for little work', async () => {
    const pool = await TestPool.start(2, 10)
    expect(pool.run()).toEqual([1, 0])
    const all = await TestPool.start(2, 1000)
    expect(all.run()).toEqual([1, 2])
  })

  it('takes a program in again that was forgotten', async () => {
    const pool = await TestPool.start(2)
    for (let i = 0; i < 5; i++) {
      expect(pool.run()).toEqual([1, 2])
      pool.forget()
    }
  })

  it('works in memory that grew after the workers started', async () => {
    const pool = await TestPool.start(3)
    expect(pool.run()).toEqual([1, 2, 3])
    pool.memory.grow(500)
    expect(pool.run({ address: 400 * 65536 })).toEqual([1, 2, 3])
  })

  it('keeps two pools apart', async () => {
    const [one, other] = [await TestPool.start(2), await TestPool.start(3)]
    for (let i = 0; i < 20; i++) {
      expect(one.run()).toEqual([1, 2])
      expect(other.run()).toEqual([1, 2, 3])
    }
  })

  for (const fail of [0, 1, 2]) {
    it(`says that thread ${fail} trapped, and goes on with the same workers`, async () => {
      const pool = await TestPool.start(3)
      for (let i = 0; i < 3; i++) {
        expect(() => pool.run({ fail })).toThrowError(
          expect.objectContaining({
            code: 'THREAD_FAILED',
            message: expect.stringMatching(new RegExp(`thread ${fail} of 3 failed: RuntimeError: unreachable`)),
          }),
        )
        expect(pool.run()).toEqual([1, 2, 3])
      }
      expect(pool.workers).toHaveLength(2)
    })
  }

  it('replaces a worker that is lost between runs, and runs alone until the new one is ready', async () => {
    const pool = await TestPool.start(3)
    await pool.workers[1]!.terminate()
    expect(pool.run()).toEqual([1, 0, 0])
    expect(pool.workers).toHaveLength(4)
    await pool.pool.ready
    expect(pool.run()).toEqual([1, 2, 3])
  })

  it.each([
    { name: 'before it starts', run: {} },
    { name: 'while others wait for it at a barrier', run: { fail: 101 } },
  ])('says that a worker was lost during a run, $name', async ({ run }) => {
    const pool = await TestPool.start(3)
    expect(pool.run()).toEqual([1, 2, 3])
    void pool.workers[0]!.terminate()
    expect(() => pool.run(run)).toThrowError(
      expect.objectContaining({
        code: 'THREAD_FAILED',
        message: expect.stringMatching(/thread 1 of 3 failed: its worker is gone/),
      }),
    )
    expect(pool.run()).toEqual([1, 0, 0])
    await pool.pool.ready
    expect(pool.run()).toEqual([1, 2, 3])
  })

  it('rejects, and gives up, when workers do not start', async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
    let started = 0
    const pool = new ThreadPool({
      memory,
      threads: 2,
      processors: 2,
      startWorker: (_, events) => {
        started++
        queueMicrotask(() => events.gone('no room'))
        return { post() {}, isAlive: () => false, release() {}, terminate: async () => {} }
      },
    })
    await expect(pool.ready).rejects.toThrowError(/thread 1 of 2 does not start: no room/)
    const entering: number[] = []
    for (let i = 0; i < 10; i++) {
      pool.run(createProgram(), -1, 0, (threads) => entering.push(threads))
      await Promise.resolve()
    }
    expect(entering).toEqual(new Array(10).fill(1))
    expect(started).toBe(3)
  })

  it('closes at any time, and twice', async () => {
    const startWorker = await workerStarter()
    if (typeof startWorker !== 'function') throw new Error(startWorker.unavailable)
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
    const pool = new ThreadPool({ memory, threads: 3, processors: 2, startWorker })
    await pool.close()
    await pool.close()
    await expect(pool.ready).rejects.toThrowError(/does not start/)
  })
})
