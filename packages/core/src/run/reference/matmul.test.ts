import { expect, it } from 'vitest'
import type { View } from '../../graph/view.ts'
import { createRandom, toStorage } from '../../testing/random.ts'
import { buildMatmul } from './matmul.ts'

const random = createRandom(6)
const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal())
const call = (a: View, b: View, c: View, dtype: 'f32' | 'f16' = 'f32') => ({
  op: 'matmul' as const,
  attributes: {},
  inputs: [
    { buffer: 0, dtype, view: a },
    { buffer: 1, dtype, view: b },
  ],
  outputs: [{ buffer: 2, dtype, view: c }],
})
const at = ({ strides, offset }: View, ...index: number[]): number =>
  index.reduce((sum, value, axis) => sum + value * strides[axis]!, offset)

it.each([
  { name: 'row-major', m: 3, k: 5, n: 7, a: [15, 5, 1], b: [35, 7, 1], c: [21, 7, 1] },
  { name: 'transposed operands and result', m: 4, k: 3, n: 5, a: [12, 1, 4], b: [15, 1, 3], c: [20, 1, 4] },
  { name: 'one matrix for both batches', m: 2, k: 4, n: 300, a: [8, 4, 1], b: [0, 300, 1], c: [600, 300, 1] },
  { name: 'gaps between elements', m: 3, k: 2, n: 2, a: [20, 6, 3], b: [11, 5, 2], c: [30, 9, 4] },
])('two batches are three plain loops: $name', ({ m, k, n, a, b, c }) => {
  const views = [
    { shape: [2, m, k], strides: a, offset: 1 },
    { shape: [2, k, n], strides: b, offset: 2 },
    { shape: [2, m, n], strides: c, offset: 3 },
  ] as const
  const [left, right] = [draw(100), draw(2500)]
  const result = new Float32Array(1300).fill(-1)
  buildMatmul(call(...views))([left, right], [result])
  const expected = new Float32Array(1300).fill(-1)
  for (let batch = 0; batch < 2; batch++) {
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0
        for (let depth = 0; depth < k; depth++)
          sum += left[at(views[0], batch, row, depth)]! * right[at(views[1], batch, depth, column)]!
        expected[at(views[2], batch, row, column)] = sum
      }
    }
  }
  expect(result).toEqual(expected)
})

it('is zero over a depth of 0', () => {
  const result = new Float32Array(6).fill(9)
  const [a, b, c] = [
    { shape: [2, 0], strides: [0, 1], offset: 0 },
    { shape: [0, 3], strides: [3, 1], offset: 0 },
    { shape: [2, 3], strides: [3, 1], offset: 0 },
  ]
  buildMatmul(call(a, b, c))([new Float32Array(0), new Float32Array(0)], [result])
  expect([...result]).toEqual([0, 0, 0, 0, 0, 0])
})

it('multiplies f16 through its bits and rounds once', () => {
  const [a, b, c] = [
    { shape: [1, 2], strides: [2, 1], offset: 0 },
    { shape: [2, 1], strides: [1, 1], offset: 0 },
    { shape: [1, 1], strides: [1, 1], offset: 0 },
  ]
  const result = new Uint16Array(1)
  buildMatmul(call(a, b, c, 'f16'))([toStorage('f16', [1.5, 2048]), toStorage('f16', [2, 2])], [result])
  // 3 + 4096 lies between 4096 and 4100.
  expect(result[0]).toBe(0x6c01)
})

it('refuses shapes that do not fit, with the shapes', () => {
  const view = (shape: number[]): View => ({ shape, strides: [shape[1]!, 1], offset: 0 })
  expect(() => buildMatmul(call(view([2, 3]), view([4, 5]), view([2, 5])))).toThrow(
    /f32\[2, 3\] × f32\[4, 5\] → f32\[2, 5\]/,
  )
})
