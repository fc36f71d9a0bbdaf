import { describe, expect, it } from 'vitest'
import type { Kernel, Plugin } from '../index.ts'
import {
  createHostBackend,
  createRuntime,
  forLoop,
  grad,
  jit,
  type Runtime,
  type RuntimeOptions,
  referenceKernels,
  type Tensor,
  tensor,
  topK,
} from '../index.ts'

declare module '../plugin/contract.ts' {
  interface BackendPrograms {
    narrow: ReferenceKernelProgram
  }
}

/** A backend that has no 64-bit floats. */
const narrow: Plugin = {
  name: 'narrow',
  apiVersion: 1,
  backends: [
    createHostBackend({
      name: 'narrow',
      variant: 'test',
      limits: { gigaflops: 0.1, gigabytesPerSecond: 1, microsecondsPerCall: 2 },
    }),
  ],
  kernels: referenceKernels.map(
    (kernel): Kernel => ({
      ...kernel,
      backend: 'narrow',
      cost: (call, limits) => {
        const instructions =
          call.op === 'fused' ? (call as Parameters<Kernel<'fused'>['cost']>[0]).attributes.instructions : []
        const formats = [...call.inputs, ...call.outputs, ...instructions].map(({ dtype }) => dtype)
        return formats.includes('f64') ? undefined : kernel.cost(call, limits)
      },
    }),
  ),
}

const lines: string[] = []
async function on<Result>(options: RuntimeOptions, run: (runtime: Runtime) => Promise<Result>): Promise<Result> {
  lines.length = 0
  const runtime = await createRuntime({ ...options, log: (line) => lines.push(line) })
  try {
    return await run(runtime)
  } finally {
    await runtime.close()
  }
}

const input = () =>
  tensor([
    [1, 2, 3],
    [4, 5, 6.5],
  ])
const third = () => tensor([1 / 3, 2 / 3, 4 / 3], [3], 'f64')

const functions: Record<string, (x: Tensor, y: Tensor) => Tensor | Tensor[]> = {
  'from one side to the other and back, twice': (x, y) => {
    const first = x.multiply(2).cast('f64').multiply(y).sum(1, { keepDims: true }).cast('f32').add(x)
    return first.exp().cast('f64').subtract(y).cast('f32').maximum(0)
  },
  'all of it on the host': (_, y) => y.multiply(y).add(1),
  'results of both sides': (x, y) => [x.add(1), y.add(1), x.sum(0), y.reshape([3, 1])],
  'made of constants': (x) => [
    tensor(2.5, [], 'f64').add(tensor(0.1, [], 'f64')),
    x.add(tensor(1, [], 'f64').cast('f32')),
  ],
  'products, lookups and sorting': (x, y) => {
    const wide = x.cast('f64')
    const { values, indices } = topK(wide, 2)
    return [wide.matmul(y.reshape([3, 1])), wide.gather(tensor([2, 0], [2], 'i32'), 1), values, indices]
  },
  'a loop over both': (x, y) =>
    forLoop(400, (i, state: Tensor) => state.multiply(0.5).add(y).add(i.cast('f32').cast('f64')), x.cast('f64')),
}

describe('ops that a backend cannot run', () => {
  for (const [name, compute] of Object.entries(functions)) {
    it(`are computed on the host: ${name}`, async () => {
      const run = () => {
        const x = input()
        const y = third()
        const results = [compute(x, y)].flat()
        return Promise.all(results.map(async (result) => [...(await result.data())]))
      }
      const actual = await on({ use: [narrow] }, run)
      expect(actual).toEqual(await on({}, run))
    })
  }

  it('are counted by explain, and noted once', async () => {
    await on({ use: [narrow] }, async () => {
      const f = jit((x: Tensor, y: Tensor) => x.cast('f64').multiply(y).multiply(y).cast('f32').add(1))
      await f(input(), third()).data()
      expect(f.explain()).toMatch(/steps: host, program/)
      expect(f.explain()).toMatch(/4 ops on the host, as no kernel of the backend runs them/)
      expect(f.explain()).toMatch(/2 × multiply\(f64\[2, 3\], f64\[2, 3\]\)/)
      await third().add(2).data()
    })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/narrow cannot run all ops of this program; the host computes the rest/)
  })

  it('have gradients, and state that is replaced', async () => {
    const run = async () => {
      const gradient = grad((x: Tensor) => x.cast('f64').square().multiply(third()).sum().cast('f32'))(input())
      const state = { total: third() }
      const step = jit((s: typeof state, x: Tensor) => {
        s.total = s.total.add(x.sum(0).cast('f64'))
      })
      for (let i = 0; i < 3; i++) step(state, input())
      return [[...(await gradient.data())], [...(await state.total.data())]]
    }
    expect(await on({ use: [narrow] }, run)).toEqual(await on({}, run))
  })

  it('are refused where that is asked for, and where a kernel is asked for by name', async () => {
    const refused = expect.objectContaining({ code: 'NO_KERNEL' })
    await on({ use: [narrow], fallback: 'error' }, async () => {
      await expect(async () => await third().add(1).data()).rejects.toThrow(refused)
    })
    const name = referenceKernels.find(({ op }) => op === 'fused')!.name
    await on({ use: [narrow], force: { fused: name } }, async () => {
      await expect(async () => await third().add(1).data()).rejects.toThrow(refused)
    })
    expect(lines).toEqual([])
  })
})
