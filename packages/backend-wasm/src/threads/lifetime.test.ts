import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { promisify } from 'node:util'
import { createRuntime, tensor } from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { supportsThreads } from '../variant.ts'
import { wasm } from '../wasm.ts'

const tasks = '/proc/self/task'
const stripsTypes = 'typescript' in process.features && process.features.typescript === 'strip'

/** Runs a module in a process of its own; gives what it prints. Rejects if the process fails or does not end. */
async function runProcess(source: string): Promise<string> {
  const imports = `
    import { createRuntime, tensor } from ${JSON.stringify(import.meta.resolve('@tessera/core'))}
    import { wasm } from ${JSON.stringify(new URL('../wasm.ts', import.meta.url).href)}`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', `${imports}\n${source}`],
    { timeout: 20_000 },
  )
  return stdout
}

describe.skipIf(!supportsThreads())('threads of a runtime', () => {
  it.skipIf(!existsSync(tasks))(
    'are gone when it is closed, a hundred times',
    async () => {
      const openAndClose = async (): Promise<void> => {
        const runtime = await createRuntime({ use: [wasm({ threads: 2, variant: 'plain' })] })
        expect(await tensor(new Float32Array(1_000_000).fill(1)).sum().item()).toBe(1_000_000)
        await runtime.close()
      }
      for (let i = 0; i < 10; i++) await openAndClose()
      const threads = readdirSync(tasks).length
      const memory = process.memoryUsage().rss
      for (let i = 0; i < 90; i++) await openAndClose()
      expect(readdirSync(tasks).length).toBeLessThanOrEqual(threads)
      expect(process.memoryUsage().rss - memory).toBeLessThan(200 * 2 ** 20)
    },
    60_000,
  )

  it('of two runtimes at once do not meet', async () => {
    const [one, other] = [
      await createRuntime({ use: [wasm({ threads: 2 })] }),
      await createRuntime({ use: [wasm({ threads: 3 })] }),
    ]
    const ones = new Float32Array(1_000_000).fill(1)
    for (let i = 1; i <= 10; i++) {
      one.makeCurrent()
      const first = tensor(ones).multiply(i).sum().item()
      other.makeCurrent()
      const second = tensor(ones).multiply(-i).sum().item()
      expect(await first).toBe(1_000_000 * i)
      expect(await second).toBe(-1_000_000 * i)
    }
    await Promise.all([one.close(), other.close()])
  })

  it('may be closed while a computation is asked for', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 2 })] })
    const reading = tensor(new Float32Array(1_000_000).fill(1)).sum().item()
    const closing = runtime.close()
    const result = await reading.catch((error) => error.code)
    expect([1_000_000, 'CLOSED']).toContain(result)
    await closing
  })

  it.skipIf(!stripsTypes)(
    'do not keep the process running, closed or not',
    async () => {
      const compute = `
      await createRuntime({ use: [wasm({ threads: 3 })] })
      console.log(await tensor(new Float32Array(1_000_000).fill(1)).sum().item())`
      expect(await runProcess(compute)).toBe('1000000\n')
      expect(await runProcess(`${compute}\nprocess.exit(0)`)).toBe('1000000\n')
    },
    60_000,
  )
})
