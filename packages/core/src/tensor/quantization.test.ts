import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRuntime, type Runtime } from '../run/runtime.ts'
import { tensor } from './create.ts'
import { dequantize, quantizedMatmul, quantizeMatrix } from './quantization.ts'
import { randomKey, randomNormal } from './random.ts'
import type { Tensor } from './tensor.ts'
import { grad } from './transforms.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await createRuntime()
})
afterAll(() => runtime.close())

const numbers = async (x: Tensor) => [...(await x.data())]

describe('quantizeMatrix', () => {
  it('rounds each row to multiples of its largest magnitude over 127', async () => {
    const weight = quantizeMatrix(
      tensor([
        [127, -64, 2.4],
        [-0.5, 0.25, 0],
      ]),
      { bits: 8 },
    )
    expect(weight).toMatchObject({ bits: 8, block: 3 })
    expect(await numbers(weight.values)).toEqual([127, -64, 2, -127, 64, 0])
    expect(await numbers(weight.scales)).toEqual([1, Math.fround(0.5 / 127)])
  })

  it('puts two numbers of four bits into a byte, half a block apart', async () => {
    const weight = quantizeMatrix(tensor([[-8, 7, 3, 0, 1, -2, 4, 8]]), { bits: 4, block: 4 })
    // The second block is scaled by 8 / −8.
    expect(await numbers(weight.scales)).toEqual([1, -1])
    expect(await numbers(weight.values)).toEqual([11 * 16 + 0, 8 * 16 + 15, 4 * 16 + 7, 0 * 16 + 10])
    expect(await numbers(dequantize(weight))).toEqual([-8, 7, 3, 0, 1, -2, 4, 8])
  })

  it('keeps rows of zeros, and differs by half a step at most', async () => {
    const x = await numbers(randomNormal(randomKey(1), [5, 64]))
    x.fill(0, 64, 128)
    for (const options of [{ bits: 8 }, { bits: 8, block: 16 }, { bits: 4 }, { bits: 4, block: 8 }] as const) {
      const weight = quantizeMatrix(tensor(x).reshape([5, 64]), options)
      const [back, scales] = [await numbers(dequantize(weight)), await numbers(weight.scales)]
      const blocks = 64 / weight.block
      back.forEach((value, i) => {
        const scale = Math.abs(scales[Math.floor(i / 64) * blocks + Math.floor((i % 64) / weight.block)]!)
        // The number opposite to the one of largest magnitude is cut off at 7.
        expect(Math.abs(value - x[i]!)).toBeLessThanOrEqual((options.bits === 4 ? 1.001 : 0.501) * scale)
      })
    }
  })

  it('refuses what is no matrix, or whose rows are not made of blocks', () => {
    expect(() => quantizeMatrix(tensor([1, 2]), { bits: 8 })).toThrow(/takes a matrix .* got f32\[2\]/)
    expect(() => quantizeMatrix(tensor([[1, 2, 3]]), { bits: 8, block: 2 })).toThrow(/blocks of 2, got f32\[1, 3\]/)
    expect(() => quantizeMatrix(tensor([[1, 2, 3]]), { bits: 4, block: 3 })).toThrow(/an even number/)
  })
})

describe('quantizedMatmul', () => {
  it('multiplies by the numbers that the matrix stands for, along any leading axes', async () => {
    const weight = randomNormal(randomKey(2), [7, 32])
    const x = randomNormal(randomKey(3), [2, 3, 32])
    for (const options of [{ bits: 8 }, { bits: 8, block: 8 }, { bits: 4, block: 16 }] as const) {
      const quantized = quantizeMatrix(weight, options)
      const result = quantizedMatmul(x, quantized)
      expect(result.shape).toEqual([2, 3, 7])
      const wanted = await numbers(x.matmul(dequantize(quantized).transpose()))
      for (const [i, value] of (await numbers(result)).entries()) expect(value).toBeCloseTo(wanted[i]!, 4)
    }
  })

  it('has the gradient of the product with respect to x', async () => {
    const weight = quantizeMatrix(randomNormal(randomKey(4), [3, 16]), { bits: 8 })
    const gradient = grad((x: Tensor) => quantizedMatmul(x, weight).sum())(
      randomNormal(randomKey(5), [2, 16]),
    ) as Tensor
    const columns = await numbers(dequantize(weight).sum(0))
    for (const [i, value] of (await numbers(gradient)).entries()) expect(value).toBeCloseTo(columns[i % 16]!, 5)
  })

  it('refuses operands that do not belong together', () => {
    const weight = quantizeMatrix(randomNormal(randomKey(4), [3, 16]), { bits: 8 })
    expect(() => quantizedMatmul(tensor([1, 2]), weight)).toThrow(/8 bits in blocks of 16 .* got f32\[2\], i8\[3, 16\]/)
    const halved = { ...weight, block: 8 }
    expect(() => quantizedMatmul(randomNormal(randomKey(5), [16]), halved)).toThrow(/scales f32\[N, K \/ 8\]/)
  })
})
