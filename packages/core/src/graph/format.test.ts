import { describe, expect, it } from 'vitest'
import { type DType, floorDivide, modulo, type TypedArray, tensor } from '../index.ts'
import { coreFormats, promote } from './format.ts'

const order: readonly DType[] = ['bool', 'u8', 'i8', 'i16', 'u32', 'i32', 'bf16', 'f16', 'f32', 'f64']

/** Row by column, in the order above: the table of docs/number-formats.md. */
const table = `
bool u8   i8   i16  u32  i32  bf16 f16  f32  f64
u8   u8   i32  i32  u32  i32  bf16 f16  f32  f64
i8   i32  i8   i16  i32  i32  bf16 f16  f32  f64
i16  i32  i16  i16  i32  i32  bf16 f16  f32  f64
u32  u32  i32  i32  u32  i32  bf16 f16  f32  f64
i32  i32  i32  i32  i32  i32  bf16 f16  f32  f64
bf16 bf16 bf16 bf16 bf16 bf16 bf16 f32  f32  f64
f16  f16  f16  f16  f16  f16  f32  f16  f32  f64
f32  f32  f32  f32  f32  f32  f32  f32  f32  f64
f64  f64  f64  f64  f64  f64  f64  f64  f64  f64`
  .trim()
  .split('\n')
  .map((row) => row.trim().split(/\s+/))

const data = async (x: { data(): Promise<TypedArray> }) => Array.from(await x.data())
const of = (dtype: DType, ...values: number[]) => tensor(values, [values.length], dtype)

describe('promotion', () => {
  it('follows the table, for every pair of formats', () => {
    expect(order).toHaveLength(coreFormats.length)
    order.forEach((a, row) => {
      order.forEach((b, column) => {
        expect(`${a} ${b} ${promote(a, b)}`).toBe(`${a} ${b} ${table[row]![column]}`)
        expect(of(a, 1).equal(of(b, 1)).dtype).toBe('bool')
        if (a !== 'bool' || b !== 'bool') expect(of(a, 1).multiply(of(b, 1)).dtype).toBe(table[row]![column])
      })
    })
  })

  it('lets JavaScript numbers take the format beside them', () => {
    expect(of('bf16', 1).multiply(0.5).dtype).toBe('bf16')
    expect(of('i8', 1).add(2).dtype).toBe('i8')
    expect(of('i8', 1).add(0.5).dtype).toBe('f32')
    expect(of('bool', 1).add(2).dtype).toBe('i32')
    expect(of('i32', 1).divide(2).dtype).toBe('f32')
    expect(of('i32', 4).sqrt().dtype).toBe('f32')
  })
})

describe('integers', () => {
  it('wrap around', async () => {
    expect(await data(of('i8', 127, -128).add(1))).toEqual([-128, -127])
    expect(await data(of('i16', 32767, -32768).add(1))).toEqual([-32768, -32767])
    expect(await data(of('f32', 40000, -40000, 1.9, Number.NaN).cast('i16'))).toEqual([32767, -32768, 1, 0])
    expect(await data(of('u8', 0, 200).subtract(1))).toEqual([255, 199])
    expect(await data(of('i32', 2 ** 31 - 1).add(1))).toEqual([-(2 ** 31)])
    expect(await data(of('u32', 2 ** 31).multiply(2))).toEqual([0])
    expect(await data(of('i8', -128).abs())).toEqual([-128])
  })

  it('divide with the signs that are written down', async () => {
    const a = of('i32', -7, 7, -7, 7)
    const b = of('i32', 2, -2, -2, 2)
    expect(await data(a.divideTruncated(b))).toEqual([-3, -3, 3, 3])
    expect(await data(a.remainder(b))).toEqual([-1, 1, -1, 1])
    expect(await data(floorDivide(a, b))).toEqual([-4, -4, 3, 3])
    expect(await data(modulo(a, b))).toEqual([1, -1, -1, 1])
    expect(await data(a.divide(2))).toEqual([-3.5, 3.5, -3.5, 3.5])
  })

  it('give 0 by zero', async () => {
    const a = of('i32', 5, -(2 ** 31))
    const zero = of('i32', 0, 0)
    expect(await data(a.divideTruncated(zero))).toEqual([0, 0])
    expect(await data(a.remainder(zero))).toEqual([0, 0])
    expect(await data(floorDivide(a, zero))).toEqual([0, 0])
    expect(await data(modulo(a, zero))).toEqual([0, 0])
    expect(await data(a.divideTruncated(of('i32', -1, -1)))).toEqual([-5, -(2 ** 31)])
  })
})

describe('casts', () => {
  it('cut off, saturate and keep low bits', async () => {
    expect(await data(of('f32', 300.7, -300.7, 1.9, -1.9, Number.NaN).cast('i8'))).toEqual([127, -128, 1, -1, 0])
    expect(await data(of('i32', 300, -1).cast('u8'))).toEqual([44, 255])
    expect(await data(of('f32', 0.5, 0, Number.NaN).cast('bool'))).toEqual([1, 0, 1])
  })

  it('round to nearest, ties to even', async () => {
    const halves = of('f32', 1 + 2 ** -8, 1 + 3 * 2 ** -8, 65520, 2 ** -25)
    expect(await data(halves.cast('bf16').cast('f32'))).toEqual([1, 1 + 2 ** -6, 65536, 2 ** -25])
    expect(await data(halves.cast('f16').cast('f32'))).toEqual([
      1 + 2 ** -8,
      1 + 3 * 2 ** -8,
      Number.POSITIVE_INFINITY,
      0,
    ])
  })
})
