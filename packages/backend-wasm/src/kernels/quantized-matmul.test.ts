import {
  createRuntime,
  jit,
  quantizedMatmul,
  quantizeMatrix,
  type Runtime,
  randomKey,
  randomNormal,
  type Tensor,
} from '@tessera/core'
import { quantizedMatmulCall, quantizedMatmulReference, testKernel } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { variants } from '../variant.ts'
import { wasm } from '../wasm.ts'
import { quantizedMatmulKernel } from './quantized-matmul.ts'

for (const variant of variants) {
  testKernel({
    kernel: quantizedMatmulKernel,
    backend: wasm({ variant, threads: 1 }).backends![0] as never,
    reference: quantizedMatmulReference,
    run: { describe: (name, declare) => describe(`${name}, ${variant}`, declare), it },
    calls: [
      quantizedMatmulCall([1], 1, 16, 8, 16),
      quantizedMatmulCall([1], 67, 48, 8, 48),
      quantizedMatmulCall([3], 5, 64, 8, 16),
      quantizedMatmulCall([2, 2], 600, 32, 8, 32),
      quantizedMatmulCall([1], 1, 32, 4, 32),
      quantizedMatmulCall([1], 67, 96, 4, 32),
      quantizedMatmulCall([5], 21, 64, 4, 32),
    ],
    refuses: [
      quantizedMatmulCall([1], 4, 24, 8, 24),
      quantizedMatmulCall([1], 4, 64, 4, 64),
      quantizedMatmulCall([17], 4, 16, 8, 16),
      quantizedMatmulCall([0], 4, 16, 8, 16),
    ],
  })
}

describe('quantized products in programs', () => {
  const layer = jit((x: Tensor, weight: ReturnType<typeof quantizeMatrix>, bias: Tensor, rest: Tensor) =>
    quantizedMatmul(x, weight).add(bias).gelu().add(rest),
  )
  const operands = (rows: number, bits: 8 | 4) => ({
    x: randomNormal(randomKey(1), [rows, 1, 64]),
    weight: quantizeMatrix(randomNormal(randomKey(2), [130, 64]), { bits }),
    bias: randomNormal(randomKey(3), [130]),
    rest: randomNormal(randomKey(4), [rows, 1, 130]),
  })
  const run = async (rows: number, bits: 8 | 4) => {
    const { x, weight, bias, rest } = operands(rows, bits)
    return [...(await layer(x, weight, bias, rest).data())]
  }
  const inRuntime = async <T>(runtime: Promise<Runtime>, body: () => Promise<T>): Promise<T> => {
    const open = await runtime
    try {
      return await body()
    } finally {
      await open.close()
    }
  }

  for (const rows of [3, 40]) {
    for (const bits of [8, 4] as const) {
      it(`${rows} rows, ${bits} bits: as on the reference backend, with one thread and several`, async () => {
        const wanted = await inRuntime(createRuntime(), () => run(rows, bits))
        const results: number[][] = []
        for (const threads of [1, 2])
          results.push(await inRuntime(createRuntime({ use: [wasm({ threads })] }), () => run(rows, bits)))
        for (const [i, value] of results[0]!.entries()) expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-4)
        expect(results[1]).toEqual(results[0])
      })
    }
  }

  it('take what follows as an epilogue', async () => {
    await inRuntime(createRuntime({ use: [wasm({ threads: 1 })] }), async () => {
      await run(1, 8)
      expect(layer.explain()).toMatch(/wasm-quantized-matmul .* i8\[130, 64\] .*then add/)
    })
  })
})
