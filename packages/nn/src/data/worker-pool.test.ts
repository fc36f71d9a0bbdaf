import { afterAll, expect, test } from 'vitest'
import { Dataset } from './dataset.ts'
import type { HostTensor } from './host-tensor.ts'
import { Loader } from './loader.ts'
import { WorkerPool } from './worker-pool.ts'

const pool = new WorkerPool<HostTensor, HostTensor>(new URL('./fixtures/square.ts', import.meta.url), { workers: 2 })
afterAll(() => pool.close())

test('items come back in order from several workers', async () => {
  const items = Array.from({ length: 20 }, (_, i) => ({ data: Float32Array.of(i, 2), shape: [2] }))
  const batches: number[][] = []
  for await (const batch of new Loader(Dataset.of(items).mapIn(pool).batch(4))) batches.push([...batch.data])
  expect(batches.flat()).toEqual(items.flatMap((_, i) => [i * i, 4]))
})

test('a failure has the message of the worker, which goes on', async () => {
  const run = (value: number) => pool.run({ data: Float32Array.of(value), shape: [1] })
  await expect(run(-1)).rejects.toThrow(/function of the workers failed: RangeError: a negative number/)
  expect([...(await run(3)).data]).toEqual([9])
})

test('a module that cannot be loaded, and one without a function, are reported', async () => {
  const missing = new WorkerPool(new URL('./fixtures/missing.ts', import.meta.url), { workers: 1 })
  await expect(missing.run(1)).rejects.toThrow(/Cannot find module.*missing\.ts/)
  missing.close()
  const none = new WorkerPool(new URL('./random.ts', import.meta.url), { workers: 1 })
  await expect(none.run(1)).rejects.toThrow(/no function as default export/)
  none.close()
})

test('close ends what is under way', async () => {
  const closing = new WorkerPool<HostTensor, HostTensor>(new URL('./fixtures/square.ts', import.meta.url), {
    workers: 1,
  })
  const results = [1, 2, 3].map((value) => closing.run({ data: Float32Array.of(value), shape: [1] }))
  const settled = Promise.allSettled(results)
  await new Promise((resolve) => setTimeout(resolve, 0))
  closing.close()
  const reasons = (await settled).map((result) => (result.status === 'rejected' ? String(result.reason) : 'done'))
  expect(reasons.filter((reason) => reason.includes('closed')).length).toBeGreaterThan(0)
  await expect(closing.run({ data: Float32Array.of(1), shape: [1] })).rejects.toThrow(/the pool is closed/)
  expect(() => new WorkerPool(new URL('file:///a.ts'), { workers: 0 })).toThrow(/workers must be/)
})
