import { afterEach, describe, expect, it } from 'vitest'
import { supportsThreads } from '../variant.ts'
import { CommandQueue } from './queue.ts'
import { createProgram, failing, results } from './test-program.ts'
import { type StartWorker, type WorkerHandle, workerStarter } from './workers.ts'

const opened: CommandQueue[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((queue) => queue.close()))
})

/** A queue with a program whose threads write 1 + their number, or trap. */
async function start(threads: number) {
  const starter = await workerStarter()
  if (typeof starter !== 'function') throw new Error(starter.unavailable)
  const workers: WorkerHandle[] = []
  const startWorker: StartWorker = (...given) => {
    const worker = starter(...given)
    workers.push(worker)
    return worker
  }
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1000, shared: true })
  const queue = new CommandQueue({ memory, threads, processors: 2, startWorker })
  opened.push(queue)
  await queue.ready
  const program = createProgram()
  const run = (fail: number, isAlone = false, address = results): void => {
    queue.write(failing, new Uint8Array(Int32Array.of(fail).buffer))
    queue.write(address, new Uint8Array(4 * threads))
    // The words of the table are the results themselves: all 0 before the threads write.
    queue.run({ program, address, words: new Int32Array(threads), wordsAddress: address }, isAlone)
  }
  const read = async (address = results): Promise<number[]> => [
    ...new Int32Array((await queue.read(address, 4 * threads)).buffer),
  ]
  return { queue, memory, workers, run, read, program }
}

const trapped = (thread: number) =>
  expect.objectContaining({
    code: 'THREAD_FAILED',
    message: expect.stringMatching(new RegExp(`thread ${thread} of 3 failed: RuntimeError: unreachable`)),
  })

describe.skipIf(!supportsThreads())('CommandQueue', () => {
  it('runs programs on all threads or one, in order', async () => {
    const { queue, run, read } = await start(3)
    const seen: Promise<number[]>[] = []
    for (let i = 0; i < 10; i++) {
      run(-1, i % 2 === 1)
      seen.push(read())
    }
    expect(queue.isIdle).toBe(false)
    expect(await Promise.all(seen)).toEqual(seen.map((_, i) => (i % 2 === 1 ? [1, 0, 0] : [1, 2, 3])))
    expect(queue.isIdle).toBe(true)
  })

  it('works in memory that grew after the workers started', async () => {
    const { memory, run, read } = await start(2)
    run(-1)
    memory.grow(500)
    run(-1, false, 400 * 65536)
    expect(await read(400 * 65536)).toEqual([1, 2])
  })

  it('measures the steps of a program', async () => {
    const { queue, program } = await start(2)
    queue.write(failing, new Uint8Array(Int32Array.of(-1).buffer))
    const run = { program, address: results, words: new Int32Array(2), wordsAddress: results }
    expect(await queue.profile(run, [false, true])).toEqual([expect.any(Number), expect.any(Number)])
  })

  it.each([0, 1])('tells the next to ask that thread %i trapped, and goes on', async (thread) => {
    const { run, read, workers } = await start(3)
    run(thread)
    await expect(read()).rejects.toThrowError(trapped(thread))
    run(-1)
    expect(await read()).toEqual([1, 2, 3])
    expect(workers).toHaveLength(3)
  })

  it.each([0, 1])(
    'replaces all workers when that of thread %i is lost, and keeps what is asked meanwhile',
    async (thread) => {
      const { run, read, workers } = await start(3)
      // Thread 2 never comes to the barrier.
      run(102)
      const asked = read()
      void workers[thread]!.terminate()
      await expect(asked).rejects.toThrowError(/^wasm: run: thread \d of 3 failed: it ended/)
      run(-1)
      expect(await read()).toEqual([1, 2, 3])
      expect(workers).toHaveLength(6)
    },
  )

  it('rejects what is still asked for when it closes', async () => {
    const { queue, run, read } = await start(3)
    run(102)
    const asked = expect(read()).rejects.toMatchObject({ code: 'CLOSED' })
    await queue.close()
    await asked
  })

  it('gives up when workers do not start', async () => {
    let started = 0
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
    const queue = new CommandQueue({
      memory,
      threads: 1,
      processors: 2,
      startWorker: (_, events) => {
        started++
        queueMicrotask(() => events.gone('no room'))
        return { post() {}, isAlive: () => false, release() {}, terminate: async () => {} }
      },
    })
    await expect(queue.ready).rejects.toThrowError(/thread 0 of 1 does not start: no room/)
    await expect(queue.read(0, 4)).rejects.toMatchObject({ code: 'THREAD_FAILED' })
    await expect(queue.read(0, 4)).rejects.toMatchObject({ code: 'THREAD_FAILED' })
    expect(started).toBe(3)
  })
})
