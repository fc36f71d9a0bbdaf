import { createRuntime, jit, type Tensor, tensor } from '@tessera/core'
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

  it('says that the engine has no SIMD, and leaves the choice of another backend', async () => {
    const validate = vi.spyOn(WebAssembly, 'validate').mockReturnValue(false)
    try {
      await expect(createRuntime({ use: [wasm()], backend: 'wasm' })).rejects.toThrowError(
        /no WebAssembly SIMD. Use the reference backend/,
      )
      await expect(createRuntime({ use: [wasm()] })).rejects.toThrowError(/no WebAssembly SIMD/)
    } finally {
      validate.mockRestore()
    }
  })

  it('runs one thread, and says so, where the engine has no shared memory', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    vi.stubGlobal('SharedArrayBuffer', undefined)
    try {
      const runtime = await createRuntime({ use: [wasm({ threads: 2, maximumMemoryBytes: 2 ** 24 })] })
      expect(runtime.device.threads).toBe(1)
      expect(await tensor([1, 2]).sum().item()).toBe(3)
      await runtime.close()
      expect(warn.mock.calls.flat()).toEqual([
        expect.stringMatching(/there is no shared memory; using one thread instead of 2/),
      ])
    } finally {
      vi.unstubAllGlobals()
      warn.mockRestore()
    }
  })

  it('uses mul and add where the engine has no relaxed SIMD', async () => {
    const { validate } = WebAssembly
    // 0xfd 0x85 0x02 is f32x4.relaxed_madd.
    const withoutRelaxed = vi
      .spyOn(WebAssembly, 'validate')
      .mockImplementation((bytes) => !`${bytes}`.includes('253,133,2,') && validate(bytes))
    try {
      const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
      expect(runtime.device.variant).toBe('plain')
      expect(
        await tensor([[1, 2]])
          .matmul(tensor([[3], [4]]))
          .item(),
      ).toBe(11)
      await runtime.close()
      await expect(createRuntime({ use: [wasm({ variant: 'relaxed', threads: 1 })] })).rejects.toThrowError(
        /Use 'plain'/,
      )
    } finally {
      withoutRelaxed.mockRestore()
    }
  })

  it('refuses what is beyond 4 GiB with the bytes asked for, in use and allowed, and loses nothing', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
    const kept = tensor([1, 2, 3]).realize()
    const used = runtime.memory().usedBytes
    // One result of 5 GiB, and temporaries of more.
    const large = jit((x: Tensor) => x.reshape([3, 1]).expand([3, 447_392_427]).exp())
    expect(() => large(kept)).toThrowError(/5368709124 bytes for its largest.* 4294967296/)
    const planned = jit((x: Tensor) => {
      const row = x.reshape([1, 3]).expand([40_000, 3])
      return row.exp().matmul(row.transpose().exp()).max()
    })
    expect(() => planned(kept)).toThrowError(/plans 6[0-9]{9} bytes .* 4294967296/)
    expect(runtime.memory().usedBytes).toBe(used)
    expect([...(await kept.add(1).data())]).toEqual([2, 3, 4])
    await runtime.close()
  })

  it('runs out of memory with an error that says what to do', async () => {
    const runtime = await createRuntime({ use: [wasm({ maximumMemoryBytes: 2 ** 22 })] })
    const large = tensor(new Float32Array(2 ** 20))
    await expect(large.add(1).data()).rejects.toThrowError(/cannot allocate 4194304 bytes.*raise maximumMemoryBytes/)
    await runtime.close()
  })
})
