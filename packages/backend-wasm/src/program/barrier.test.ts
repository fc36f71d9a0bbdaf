import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { i32, ModuleBuilder } from '../assembler/index.ts'
import { layout } from '../memory/layout.ts'
import { supportsThreads } from '../variant.ts'
import { defineBarrier } from './barrier.ts'
import { importDevice } from './library.ts'

const base = layout.heap

/**
 * `work(thread, threads, rounds)`: in each round every thread writes the number of the round into its own word, waits, checks that
 * all words hold it, and waits again. Counts what it finds wrong in the word after the last thread's.
 */
function workBytes(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const barrier = defineBarrier(module, importDevice(module, true)!)
  const parameters = { thread: 'i32', threads: 'i32', rounds: 'i32' } as const
  const work = module.function('work', parameters, 'i32', (fn, { thread, threads, rounds }) => {
    const wrong = fn.local('i32', 'wrong', 0)
    fn.forRange(1, rounds, 1, (round) => {
      fn.store('i32', i32.add(base, i32.shl(thread, 2)), round)
      fn.call(barrier, { threads })
      fn.forRange(0, threads, 1, (other) => {
        fn.set(wrong, i32.add(wrong, i32.ne(i32.load(i32.add(base, i32.shl(other, 2))), round)))
      })
      fn.call(barrier, { threads })
    })
    fn.return(wrong)
  })
  module.export(work)
  return module.toBytes()
}

const workerSource = `
const { parentPort, workerData: { module, memory, thread, threads, rounds } } = require('node:worker_threads')
const { exports } = new WebAssembly.Instance(module, { device: { memory, check() {} } })
parentPort.postMessage(exports.work(thread, threads, rounds))
`

describe.skipIf(!supportsThreads())('barrier', () => {
  for (const threads of [1, 2, 3]) {
    it(`holds ${threads} threads together, more of them than processors too`, async () => {
      const module = new WebAssembly.Module(workBytes())
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
      new Int32Array(memory.buffer)[layout.barrierSpins / 4] = 1000
      const wrong = await Promise.all(
        Array.from(
          { length: threads },
          (_, thread) =>
            new Promise<number>((resolve, reject) => {
              const worker = new Worker(workerSource, {
                eval: true,
                workerData: { module, memory, thread, threads, rounds: 2000 },
              })
              worker.once('message', resolve)
              worker.once('error', reject)
            }),
        ),
      )
      expect(wrong).toEqual(wrong.map(() => 0))
      expect(new Int32Array(memory.buffer)[layout.barrierArrived / 4]).toBe(0)
    }, 60_000)
  }
})
