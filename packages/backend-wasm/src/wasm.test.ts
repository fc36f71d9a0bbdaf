import { createRuntime, jit, tensor } from '@tessera/core'
import { describe, expect, it, vi } from 'vitest'
import { wasm } from './index.ts'

describe('wasm', () => {
  it('runs tensors', async () => {
    const runtime = await createRuntime({ use: [wasm()] })
    expect(['plain', 'relaxed']).toContain(runtime.device.variant)
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ])
    const y = x.matmul(x.transpose([1, 0])).add(1)
    expect([...(await y.data())]).toEqual([15, 33, 33, 78])
    const double = jit((value: typeof x) => value.multiply(2).sum())
    expect(await double(x).item()).toBe(42)
    await runtime.close()
  })

  it('shows the code that it generated', async () => {
    const lines: string[] = []
    const runtime = await createRuntime({
      use: [wasm({ variant: 'plain' })],
      debug: 4,
      log: (line) => lines.push(line),
    })
    await tensor([1, 2]).tanh().data()
    expect(lines.join('\n')).toMatch(/f32x4\.div/)
    await runtime.close()
  })

  it('refuses options that make no sense', () => {
    expect(() => wasm({ variant: 'fast' as never })).toThrowError(/no variant 'fast'. Use one of plain, relaxed, wide/)
    for (const threads of [0, 1000, 1.5]) {
      expect(() => wasm({ threads })).toThrowError(`threads is ${threads}; it must be an integer from 1 to 256`)
    }
    expect(() => wasm({ maximumMemoryBytes: 100 })).toThrowError(/maximumMemoryBytes is 100/)
  })

  it('says once why it uses one thread', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    vi.stubGlobal('crossOriginIsolated', false)
    for (let i = 0; i < 2; i++) {
      const runtime = await createRuntime({ use: [wasm({ threads: 3, maximumMemoryBytes: 2 ** 24 })] })
      expect(runtime.device.threads).toBe(1)
      expect(await tensor([1, 2]).sum().item()).toBe(3)
      await runtime.close()
    }
    expect(warn.mock.calls.flat()).toEqual([
      expect.stringMatching(
        /no shared memory, since the page is not cross-origin isolated.*; using one thread instead of 3/,
      ),
    ])
    vi.unstubAllGlobals()
    warn.mockRestore()
  })

  it('runs out of memory with an error that says what to do', async () => {
    const runtime = await createRuntime({ use: [wasm({ maximumMemoryBytes: 2 ** 22 })] })
    const large = tensor(new Float32Array(2 ** 20))
    await expect(large.add(1).data()).rejects.toThrowError(/cannot allocate 4194304 bytes.*raise maximumMemoryBytes/)
    await runtime.close()
  })
})
