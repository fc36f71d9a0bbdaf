import { expect, it } from 'vitest'
import { bfloat16ToFloat32, float16ToFloat32 } from './half.ts'

it('reads IEEE half precision: normal, subnormal, largest, infinite, NaN', () => {
  const words = Uint16Array.of(0x0000, 0x8000, 0x3c00, 0xc000, 0x3555, 0x0001, 0x03ff, 0x7bff, 0x7c00, 0xfc00, 0x7e00)
  const third = 0x555 / 2 ** 12
  expect([...float16ToFloat32(words)]).toEqual([
    0,
    -0,
    1,
    -2,
    third,
    2 ** -24,
    1023 * 2 ** -24,
    65504,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
  ])
})

it('reads bfloat16', () => {
  const words = Uint16Array.of(0x0000, 0x3f80, 0xc000, 0x0001, 0x7f80, 0x7fc0)
  expect([...bfloat16ToFloat32(words)]).toEqual([0, 1, -2, 2 ** -133, Number.POSITIVE_INFINITY, Number.NaN])
})
