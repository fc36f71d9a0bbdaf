import { wasm } from '@tessera/backend-wasm'
import { createRuntime, rowMajorView, type Tensor, tensor } from '@tessera/core'
import { createRandom, randomStorage } from '@tessera/core/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeFlex, encodeFlex } from './encoding.ts'
import { flexProduct, integerMatmul } from './integer-matmul.ts'
import { exactProducts } from './testing/exact-products.ts'
import { integerMatmulWasm } from './wasm/index.ts'

const random = createRandom(8)
const matrix = (dtype: 'i8' | 'i16', shape: readonly number[]) => {
  const data = randomStorage(
    random,
    dtype,
    shape.reduce((product, extent) => product * extent, 1),
  ) as Int8Array<ArrayBuffer>
  return { data, of: () => tensor(data, shape), view: rowMajorView(shape) }
}

const runtimes = {
  'by its definition, on the reference': () => createRuntime(),
  'by its definition, on wasm': () => createRuntime({ use: [wasm({ threads: 1 })] }),
  'by the kernel': () => createRuntime({ use: [wasm({ threads: 1 }), integerMatmulWasm()] }),
}

describe.each(Object.entries(runtimes))('integerMatmul %s', async (_, open) => {
  const runtime = await open()
  afterAll(() => runtime.close())
  it.each([
    { batch: [], rows: 1, inner: 1, columns: 1, a: 'i8', b: 'i8' },
    { batch: [], rows: 7, inner: 13, columns: 9, a: 'i8', b: 'i8' },
    { batch: [2, 3], rows: 6, inner: 5, columns: 18, a: 'i16', b: 'i16' },
    { batch: [], rows: 0, inner: 3, columns: 2, a: 'i8', b: 'i8' },
    { batch: [], rows: 3, inner: 0, columns: 2, a: 'i8', b: 'i16' },
  ] as const)('is that of big integers: $batch $rows × $inner × $columns, $a and $b', async (test) => {
    const { batch, rows, inner, columns } = test
    const [a, b] = [matrix(test.a, [...batch, rows, inner]), matrix(test.b, [...batch, inner, columns])]
    const view = rowMajorView([...batch, rows, columns])
    const expected = new Int32Array([...batch, rows, columns].reduce<number>((product, extent) => product * extent, 1))
    exactProducts([a.view, b.view, view], a.data, b.data, expected)
    const product = integerMatmul(a.of(), b.of())
    expect(product.dtype).toBe('i32')
    expect(await product.data()).toEqual(expected)
    // The same matrices as transposed views of others.
    const turned = (x: Tensor) => x.transpose().realize().transpose()
    expect(await integerMatmul(turned(a.of()), turned(b.of())).data()).toEqual(expected)
  })

  it('wraps at 32 bits', async () => {
    const lowest = tensor(new Int16Array(6).fill(-32768), [1, 6])
    // 6 · 2^30 = 2^31 + 2^32
    expect(await integerMatmul(lowest, lowest.transpose()).data()).toEqual(new Int32Array([-(2 ** 31)]))
  })

  it('is exact for i8 up to the longest sums', async () => {
    const inner = 2 ** 17 - 1
    const lowest = tensor(new Int8Array(inner).fill(-128), [1, inner])
    expect(await integerMatmul(lowest, lowest.transpose()).data()).toEqual(new Int32Array([inner * 2 ** 14]))
  })

  it('multiplies what encodeFlex stores as if in float64', async () => {
    const [rows, inner, columns] = [5, 40, 6]
    const stored = [rows * inner, inner * columns].map((count) =>
      encodeFlex(
        Float64Array.from({ length: count }, () => random.normal()),
        { bits: 8, exponentBits: 5 },
      ),
    )
    const [x, y] = stored.map(decodeFlex) as [Float32Array, Float32Array]
    const expected = Float32Array.from({ length: rows * columns }, (_, at) => {
      let sum = 0
      for (let k = 0; k < inner; k++) sum += x[Math.floor(at / columns) * inner + k]! * y[k * columns + (at % columns)]!
      return sum
    })
    const [a, b] = stored.map(({ mantissas, scale }, i) => ({
      mantissas: tensor(mantissas as Int8Array<ArrayBuffer>, i === 0 ? [rows, inner] : [inner, columns]),
      scale,
    }))
    expect(await flexProduct(a!, b!).data()).toEqual(expected)
  })
})

describe('refuses', () => {
  const scaled = (dtype: 'i8' | 'i16', shape: readonly [number, number]) => ({
    mantissas: matrix(dtype, shape).of(),
    scale: 0.5,
  })

  it('operands that do not fit, or are not whole numbers', () => {
    expect(() => integerMatmul(matrix('i8', [2, 3]).of(), matrix('i8', [2, 3]).of())).toThrow(/\[2, 3\] and i8\[2, 3\]/)
    expect(() => integerMatmul(tensor([[1]]), matrix('i8', [1, 1]).of())).toThrow(/of i8 or i16.*f32/)
    expect(() => integerMatmul(matrix('i8', [2, 1, 1]).of(), matrix('i8', [3, 1, 1]).of())).toThrow(
      /the same axes before/,
    )
  })

  it('flex products whose sums might not fit', () => {
    expect(flexProduct(scaled('i8', [1, 511]), scaled('i16', [511, 1])).shape).toEqual([1, 1])
    expect(() => flexProduct(scaled('i8', [1, 512]), scaled('i16', [512, 1]))).toThrow(
      expect.objectContaining({ code: 'FLEX_SUM' }),
    )
    expect(() => flexProduct(scaled('i16', [1, 2]), scaled('i16', [2, 1]))).toThrow(/2 products of 16 and 16 bits/)
  })
})
