import { createRuntime, type DType, jit, type Kernel, referenceKernels, type Tensor, tensor } from '@tessera/core'
import { type KernelTestCall, randomStorage, testKernel } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { variantBackend } from '../testing/backends.ts'
import { canEnableRevectorizer, variants } from '../variant.ts'
import { wasm } from '../wasm.ts'
import { widenedMatmulKernel } from './matmul.ts'

/** Reads operands of any float. */
const matmul = referenceKernels.find(({ op }) => op === 'matmul')!
const reference = { ...matmul, name: 'test/widened-matmul', op: 'widenedMatmul' } as unknown as Kernel<
  'widenedMatmul',
  'reference'
>

type Formats = readonly [a: DType, b: DType]

const product = (
  batch: readonly number[],
  [m, k, n]: readonly [number, number, number],
  [a, b]: Formats,
  isFollowed = false,
): KernelTestCall => ({
  name: `[${[...batch, m, k].join(', ')}] × ${n}, ${a} × ${b}${isFollowed ? ', then bias and maximum' : ''}`,
  scale: Math.sqrt(k),
  write: (program, random) => {
    const count = batch.reduce((result, extent) => result * extent, 1)
    const own = [program.input(a, [...batch, m, k]), program.input(b, [...batch, k, n])]
    const values = [randomStorage(random, a, count * m * k), randomStorage(random, b, count * k * n)]
    const shape = [...batch, m, n]
    if (!isFollowed) program.call('widenedMatmul', {}, own, [program.output('f32', shape)])
    else {
      const [bias, output] = [program.input('bf16', [...batch.map(() => 1), 1, n]), program.output('f32', shape)]
      program.callThen('widenedMatmul', {}, own, { shape }, (body, result) => {
        const sum = body.compute('add', result, body.cast(body.load(bias), 'f32'))
        body.store(output, body.compute('maximum', sum, body.constant(0)))
      })
      values.push(randomStorage(random, 'bf16', n))
    }
    return values
  },
})

const formats: readonly Formats[] = [
  ['f32', 'bf16'],
  ['f32', 'f16'],
  ['bf16', 'f32'],
  ['f16', 'bf16'],
  ['bf16', 'bf16'],
]

/** One row, few rows, beyond tiles, blocks and units, packed for all, batches. The layouts that the suite goes through make each method of both. */
const calls = formats.flatMap((pair, i) => [
  product([], [1, 70, 130], pair, i % 2 === 0),
  product([], [1, 9, 1], pair),
  product([], [7, 65, 41], pair, i % 2 === 1),
  // The halves share all else.
  ...(i % 2 === 0
    ? [product([], [3, 33, 2100], pair), product([], [45, 300, 67], pair), product([2, 3], [5, 18, 21], pair)]
    : []),
])

for (const variant of variants) {
  if (variant === 'wide' && !canEnableRevectorizer()) continue
  testKernel({
    kernel: widenedMatmulKernel,
    backend: variantBackend(variant),
    reference,
    run: { describe: (name, declare) => describe(`${name}, ${variant}`, declare), it },
    calls: [...calls, product([], [130, 260, 300], ['bf16', 'f16'])],
    refuses: [product([], [2, 3, 4], ['f32', 'f32']), product([], [0, 3, 4], ['f32', 'bf16'])],
  })
}

describe('products of narrow floats in programs', () => {
  // From the host, so that no backend rounds others to the formats.
  const numbers = (...shape: number[]): Tensor => {
    const count = shape.reduce((product, extent) => product * extent, 1)
    return tensor(
      Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1009) / 300 - 1.68),
      shape,
    )
  }
  const operands = (rows: number, dtype: DType) => ({
    x: numbers(rows, 96),
    weight: numbers(96, 600).cast(dtype),
    table: numbers(50, 600).cast(dtype),
    bias: numbers(600).cast(dtype),
  })
  const layers = jit((x: Tensor, weight: Tensor, table: Tensor, bias: Tensor) =>
    x.matmul(weight).add(bias).gelu().matmul(table.transpose()),
  )
  const narrow = jit((x: Tensor, weight: Tensor) => x.cast(weight.dtype).matmul(weight).cast('f32'))
  const run = async (rows: number, dtype: DType): Promise<number[][]> => {
    const { x, weight, table, bias } = operands(rows, dtype)
    return [
      [...(await layers(x, weight, table, bias).data())] as number[],
      [...(await narrow(x, weight).data())] as number[],
    ]
  }

  for (const dtype of ['bf16', 'f16'] as const) {
    for (const rows of [1, 6, 70]) {
      it(`${rows} rows with ${dtype} weights: read as they are stored, as on the reference backend, by any number of threads`, async () => {
        const results: number[][][] = []
        for (const use of [[], [wasm({ threads: 1 })], [wasm({ threads: 2 })], [wasm({ threads: 3 })]]) {
          const runtime = await createRuntime({ use })
          results.push(await run(rows, dtype))
          if (use.length > 0) {
            expect(layers.explain().match(/wasm-widened-matmul +/g)).toHaveLength(2)
            // Nothing of the size of a matrix is written out.
            expect(layers.explain()).not.toMatch(/map \[\d{5}|map \[\d+, \d+\]/)
            expect(narrow.explain()).toMatch(
              new RegExp(`wasm-widened-matmul .* ${dtype}\\[${rows}, 96\\] ${dtype}\\[96, 600\\]`),
            )
          }
          await runtime.close()
        }
        const [wanted, first, ...others] = results
        for (const other of others) expect(other).toEqual(first)
        first!.forEach((values, i) => {
          const largest = wanted![i]!.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
          // The second result is rounded to the format, perhaps the other way where it lies in the middle.
          const allowed = i === 0 ? 1e-5 : dtype === 'bf16' ? 2 ** -8 : 2 ** -11
          for (const [j, value] of values.entries())
            expect(Math.abs(value - wanted![i]![j]!)).toBeLessThanOrEqual(allowed * largest)
        })
      })
    }
  }
})
