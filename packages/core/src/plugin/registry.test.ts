import { describe, expect, it } from 'vitest'
import {
  createRuntime,
  type Kernel,
  nullBackend,
  nullKernels,
  type Plugin,
  referenceKernels,
  tensor,
} from '../index.ts'

const nothing: Plugin = { name: 'null', apiVersion: 1, backends: [nullBackend], kernels: nullKernels() }
const named = (name: string, rest: Partial<Plugin> = {}): Plugin => ({ name, apiVersion: 1, ...rest })

describe('createRuntime', () => {
  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['a plugin twice', () => createRuntime({ use: [nothing, nothing] }), /plugin 'null' .*is there already/],
    [
      'a backend twice',
      () => createRuntime({ use: [nothing, named('other', { backends: [nullBackend] })] }),
      /backend 'null' \(from plugin 'other'\)/,
    ],
    [
      'a kernel twice',
      () => createRuntime({ use: [nothing, named('other', { kernels: nullKernels(['fused']) })] }),
      /kernel 'null\/fused\/null\/fused'/,
    ],
    [
      'another version of the contract',
      () => createRuntime({ use: [{ ...named('new'), apiVersion: 2 } as unknown as Plugin] }),
      /made for version 2 .* this core has version 1/,
    ],
    [
      'a missing peer',
      () => createRuntime({ use: [named('winograd', { requires: ['wasm'] })] }),
      /'winograd' needs 'wasm', which is not used/,
    ],
    [
      'a missing peer of several that would do',
      () => createRuntime({ use: [named('winograd', { requires: [['wasm', 'webgpu']] })] }),
      /'winograd' needs 'wasm' or 'webgpu', which is not used. Add it: createRuntime\({ use: \[wasm\(\), …\] }\)/,
    ],
    [
      'a function instead of a plugin',
      () => createRuntime({ use: [(() => nothing) as unknown as Plugin] }),
      /got function/,
    ],
    ['an unknown backend', () => createRuntime({ backend: 'cuda' }), /no backend 'cuda'. These are used: reference/],
    [
      'an unknown forced kernel',
      () => createRuntime({ force: { matmul: 'fastest' } }),
      /no kernel 'fastest' for 'matmul'. It has: /,
    ],
    [
      'no backend that runs here',
      () =>
        createRuntime({
          use: [named('gpu', { backends: [{ name: 'null', open: () => ({ unavailable: 'There is no GPU.' }) }] })],
        }),
      /no backend runs here. null: There is no GPU./,
    ],
  ])('refuses %s', async (_, create, message) => {
    await expect(create()).rejects.toThrow(message)
  })

  it('takes one of several peers', async () => {
    const runtime = await createRuntime({ use: [nothing, named('winograd', { requires: [['wasm', 'null'], 'null'] })] })
    await runtime.close()
  })

  it('takes the forced kernel, and otherwise the cheapest within the tolerance', async () => {
    const plain = referenceKernels.find((kernel) => kernel.op === 'matmul')!
    const variant = (name: string, cost: number, tolerance: number): Kernel => ({
      ...plain,
      name,
      tolerance,
      cost: () => cost,
    })
    const plugin = named('more', { kernels: [variant('cheap', 0.01, 1e-7), variant('rough', 0.001, 0.1)] })
    const chosen = async (options: object) => {
      const lines: string[] = []
      const runtime = await createRuntime({ use: [plugin], debug: 2, log: (line) => lines.push(line), ...options })
      await tensor([[1, 2]])
        .matmul(tensor([[3], [4]]))
        .data()
      await runtime.close()
      return lines.join('\n')
    }
    expect(await chosen({})).toMatch(/cheap\s+matmul/)
    expect(await chosen({ tolerance: 1 })).toMatch(/rough\s+matmul/)
    expect(await chosen({ force: { matmul: plain.name } })).toContain(plain.name)
  })

  it('says which call no kernel runs', async () => {
    const runtime = await createRuntime({ use: [{ ...nothing, kernels: nullKernels(['fused']) }], fallback: 'error' })
    const product = tensor([[1]]).matmul(tensor([[2]]))
    await expect(product.data()).rejects.toThrow(/matmul\(f32\[1, 1\], f32\[1, 1\]\): no kernel of backend 'null'/)
    await runtime.close()
  })
})
