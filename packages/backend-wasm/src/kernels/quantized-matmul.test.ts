import {
  createRuntime,
  jit,
  type Kernel,
  quantizedMatmul,
  quantizeMatrix,
  type Runtime,
  randomKey,
  randomNormal,
  type Tensor,
} from '@tessera/core'
import { type KernelTestCall, testKernel } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { variants } from '../variant.ts'
import { wasm } from '../wasm.ts'
import { quantizedMatmulKernel } from './quantized-matmul.ts'

/** Loops in float64 over row-major operands. */
const reference: Kernel<'quantizedMatmul', 'reference'> = {
  name: 'test/quantized-matmul',
  op: 'quantizedMatmul',
  backend: 'reference',
  tolerance: 1e-7,
  layouts: 'any',
  cost: () => 1,
  build:
    ({ attributes: { bits, block }, inputs: [x, values, scales], outputs: [y] }) =>
    ([xs, codes, factors], [target]) => {
      const [k, n] = [x!.view.shape.at(-1)!, y!.view.shape.at(-1)!]
      const [rowsX, rowsY] = [x!, y!].map(({ view: { shape, strides, offset } }) => {
        let rows = [offset]
        for (let axis = 0; axis < shape.length - 1; axis++)
          rows = rows.flatMap((row) => Array.from({ length: shape[axis]! }, (_, i) => row + i * strides[axis]!))
        return rows
      }) as [number[], number[]]
      const at = ({ view: { strides, offset } }: NonNullable<typeof values>, row: number, column: number) =>
        offset + row * strides[0]! + column * strides[1]!
      const weight = (row: number, column: number): number => {
        const [index, within] = [Math.floor(column / block), column % block]
        const scale = factors![at(scales!, row, index)]!
        if (bits === 8) return scale * codes![at(values!, row, column)]!
        const byte = codes![at(values!, row, (index * block) / 2 + (within % (block / 2)))]!
        return scale * ((within < block / 2 ? byte & 15 : byte >> 4) - 8)
      }
      rowsX.forEach((row, i) => {
        for (let j = 0; j < n; j++) {
          let sum = 0
          for (let p = 0; p < k; p++) sum += xs![row + p * x!.view.strides.at(-1)!]! * weight(j, p)
          target![rowsY[i]! + j * y!.view.strides.at(-1)!] = sum
        }
      })
    },
}

const product = (rows: number[], n: number, k: number, bits: 8 | 4, block: number): KernelTestCall => ({
  name: `[${rows.join(', ')}, ${k}] × ${n}, ${bits} bits in blocks of ${block}`,
  scale: 100 * Math.sqrt(k),
  write: (program, random) => {
    const values = program.input(bits === 8 ? 'i8' : 'u8', [n, (k * bits) / 8])
    const [x, scales] = [program.input('f32', [...rows, k]), program.input('f32', [n, k / block])]
    program.call('quantizedMatmul', { bits, block }, [x, values, scales], [program.output('f32', [...rows, n])])
    const codes = Array.from({ length: (n * k * bits) / 8 }, () => Math.floor(random.uniform(0, 256)))
    const count = rows.reduce((product, extent) => product * extent, 1)
    return [
      bits === 8 ? Int8Array.from(codes) : Uint8Array.from(codes),
      Float32Array.from({ length: count * k }, () => random.normal()),
      Float32Array.from({ length: (n * k) / block }, () => random.normal()),
    ]
  },
})

for (const variant of variants) {
  testKernel({
    kernel: quantizedMatmulKernel,
    backend: wasm({ variant, threads: 1 }).backends![0] as never,
    reference,
    run: { describe: (name, declare) => describe(`${name}, ${variant}`, declare), it },
    calls: [
      product([1], 1, 16, 8, 16),
      product([1], 67, 48, 8, 48),
      product([3], 5, 64, 8, 16),
      product([2, 2], 600, 32, 8, 32),
      product([1], 1, 32, 4, 32),
      product([1], 67, 96, 4, 32),
      product([5], 21, 64, 4, 32),
    ],
    refuses: [
      product([1], 4, 24, 8, 24),
      product([1], 4, 64, 4, 64),
      product([17], 4, 16, 8, 16),
      product([0], 4, 16, 8, 16),
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
