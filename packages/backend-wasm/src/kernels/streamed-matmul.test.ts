import { createRuntime, jit, type Kernel, referenceKernels, type Tensor, tensor } from '@tessera/core'
import { type KernelTestCall, randomStorage, testKernel } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { optimised, variantBackend } from '../testing/backends.ts'
import { canEnableRevectorizer, variants } from '../variant.ts'
import { wasm } from '../wasm.ts'
import { matmulTuning, planMatmul } from './matmul/index.ts'
import { matmulKernel, widenedMatmulKernel } from './matmul.ts'

const matmul = referenceKernels.find(({ op }) => op === 'matmul')!

type Op = 'matmul' | 'widenedMatmul'

/** One to three rows times a matrix that is read from memory, which the kernel does in units of its depth. */
const product = (
  op: Op,
  m: number,
  k: number,
  n: number,
  isFollowed = false,
  half: 'bf16' | 'f16' = 'bf16',
): KernelTestCall => ({
  name: `[${m}, ${k}] × ${n}${op === 'matmul' ? '' : ` of ${half}`}${isFollowed ? ', then bias and residual' : ''}`,
  scale: Math.sqrt(k),
  write: (program, random) => {
    const format = op === 'matmul' ? 'f32' : half
    const own = [program.input('f32', [m, k]), program.input(format, [k, n])]
    const values = [randomStorage(random, 'f32', m * k), randomStorage(random, format, k * n)]
    if (!isFollowed) program.call(op, {}, own, [program.output('f32', [m, n])])
    else {
      const [bias, residual] = [program.input('f32', [1, n]), program.input('f32', [m, n])]
      const output = program.output('f32', [m, n])
      program.callThen(op, {}, own, { shape: [m, n] }, (body, result) => {
        body.store(output, body.compute('add', body.compute('add', result, body.load(bias)), body.load(residual)))
      })
      values.push(randomStorage(random, 'f32', n), randomStorage(random, 'f32', m * n))
    }
    return values
  },
})

for (const variant of variants) {
  if (variant === 'wide' && !canEnableRevectorizer()) continue
  for (const kernel of [matmulKernel, widenedMatmulKernel]) {
    testKernel({
      kernel: kernel as Kernel<Op, 'wasm'>,
      backend: variantBackend(variant),
      reference: { ...matmul, name: 'test/product', op: kernel.op } as unknown as Kernel<Op, 'reference'>,
      run: { describe: (name, declare) => describe(`${name}, ${variant}`, declare), it },
      calls: [
        product(kernel.op, 1, 300, 1001),
        product(kernel.op, 3, 401, 690, true),
        ...(kernel.op === 'matmul' ? [] : [product(kernel.op, 2, 401, 690, false, 'f16')]),
      ],
    })
  }
}

describe('products that read a matrix from memory', () => {
  it('are planned in units of depth where that pays', () => {
    const plan = (m: number, k: number, n: number) =>
      planMatmul(
        {
          m,
          n,
          k,
          a: { rowStride: k, columnStride: 1 },
          b: { rowStride: n, columnStride: 1 },
          c: { rowStride: n, columnStride: 1 },
        },
        matmulTuning('relaxed'),
        { packsBefore: true },
      ).depthUnits
    expect([plan(1, 768, 2304), plan(1, 130, 2304), plan(4, 768, 768), plan(3, 401, 690)]).toEqual([8, 2, 3, 2])
    // Small, or short, or many rows.
    expect([plan(1, 768, 100), plan(1, 100, 5000), plan(5, 768, 768)]).toEqual([0, 0, 0])
  })

  it('give the same for any number of threads', async () => {
    const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => (((i * 7919) % 1009) - 504) / 300)
    const layer = jit((x: Tensor, weight: Tensor, bias: Tensor) => x.matmul(weight).add(bias).relu())
    const results: number[][] = []
    for (const threads of [1, 2, 3]) {
      const runtime = await createRuntime({ use: [wasm({ threads })] })
      const [x, weight] = [tensor(numbers(2 * 640), [2, 640]), tensor(numbers(640 * 700), [640, 700])]
      results.push([...(await layer(x, weight, tensor(numbers(700), [700])).data())])
      await runtime.close()
    }
    expect(results[1]).toEqual(results[0])
    expect(results[2]).toEqual(results[0])
    expect(results[0]!.some((value) => value > 1)).toBe(true)
  })

  // Rows and columns of f16 that are all finite are decoded in another way than others.
  describe.each(variants)('of f16, %s', (variant) => {
    it.skipIf(variant === 'wide' && !canEnableRevectorizer())(
      'keep infinities, numbers that are none, and the smallest',
      async () => {
        const [k, n] = [293, 1003]
        const values = Float32Array.from({ length: k * n }, (_, i) => ((i * 7919) % 1009) / 504 - 1)
        const at = (row: number, column: number): number => row * n + column
        values.fill(2 ** -24 * 3, at(4, 0), at(4, 90))
        values[at(3, 5)] = Number.POSITIVE_INFINITY
        values[at(200, 770)] = Number.NEGATIVE_INFINITY
        values[at(292, 1002)] = Number.NaN
        values[at(7, 1000)] = -65504
        const product = jit((x: Tensor, weight: Tensor) => [
          x.matmul(weight.cast('f32')),
          x.matmul(weight.reshape([n, k]).transpose().cast('f32')),
        ])
        const results: number[][][] = []
        const plugin = wasm({ variant, threads: 1 })
        const backends = plugin.backends!.map((backend) => (variant === 'wide' ? optimised(backend) : backend))
        for (const use of [[], [{ ...plugin, backends }]]) {
          const runtime = await createRuntime({ use })
          const x = tensor(
            Float32Array.from({ length: 2 * k }, (_, i) => (i % 7) - 3.5),
            [2, k],
          )
          const both = product(x, tensor(values, [k, n]).cast('f16').realize())
          results.push(await Promise.all(both.map(async (each) => [...(await each.data())])))
          if (use.length > 0) expect(product.explain().match(/wasm-widened-matmul +/g)).toHaveLength(2)
          await runtime.close()
        }
        const [wanted, given] = results as [number[][], number[][]]
        given.forEach((row, i) => {
          for (const [j, value] of row.entries()) {
            const exact = wanted[i]![j]!
            if (Number.isFinite(exact))
              expect(Math.abs(value - exact)).toBeLessThan(1e-5 * Math.max(k, Math.abs(exact)))
            else expect(value).toBe(exact)
          }
        })
        expect(given.map((row) => row.filter((value) => !Number.isFinite(value)).length)).toEqual([6, 6])
      },
    )
  })
})
