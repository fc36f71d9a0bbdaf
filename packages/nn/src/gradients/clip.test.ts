import { jit, tensor } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clipByGlobalNorm, globalNorm } from './clip.ts'

const vectors = fc.array(fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 5 }), {
  minLength: 1,
  maxLength: 4,
})

describe('clipByGlobalNorm', () => {
  test('leaves gradients within bounds exactly as they are and scales others to the maximum', async () => {
    await fc.assert(
      fc.asyncProperty(vectors, fc.double({ min: 0.01, max: 500, noNaN: true }), async (rows, maximum) => {
        const norm = Math.hypot(...rows.flat())
        const { gradients, norm: found } = clipByGlobalNorm(
          rows.map((row) => tensor(row)),
          maximum,
        )
        expect(Math.abs((await found.item()) - norm)).toBeLessThanOrEqual(1e-6 * norm + 1e-18)
        const clipped: number[] = []
        for (const gradient of gradients) clipped.push(...(await gradient.data()))
        if (norm < maximum * 0.999) expect(clipped).toEqual(rows.flat().map(Math.fround))
        if (norm > maximum) {
          expect(Math.hypot(...clipped)).toBeCloseTo(maximum, 2)
          clipped.forEach((value, i) => {
            expect(Math.abs(value - (rows.flat()[i]! * maximum) / norm)).toBeLessThanOrEqual(1e-5 * maximum)
          })
        }
      }),
      { numRuns: 30 },
    )
  })

  test('keeps the tree, and a tensor at two paths one tensor that counts once', async () => {
    const shared = tensor([3, 0])
    const { gradients, norm } = clipByGlobalNorm({ a: shared, b: { c: shared, d: [tensor([4])] } }, 1)
    expect(await norm.item()).toBe(5)
    expect(gradients.b.c).toBe(gradients.a)
    expect(await gradients.b.d[0]!.item()).toBeCloseTo(0.8, 6)
  })

  test('shows a norm that is not finite', async () => {
    const { norm } = clipByGlobalNorm({ a: tensor([1, Number.NaN]) }, 1)
    expect(await norm.item()).toBeNaN()
    expect(await clipByGlobalNorm([tensor([Number.POSITIVE_INFINITY])], 1).norm.item()).toBe(Number.POSITIVE_INFINITY)
  })

  test('works inside of jit and refuses a maximum of 0', async () => {
    const clip = jit((x: ReturnType<typeof tensor>) => clipByGlobalNorm({ x }, 1))
    const { gradients } = clip(tensor([0, 2]))
    expect([...(await gradients.x.data())]).toEqual([0, 1])
    expect(() => clipByGlobalNorm({}, 0)).toThrow(/maximum must be above 0, got 0/)
  })
})

test('the norm of nothing is 0', async () => {
  expect(await globalNorm({}).item()).toBe(0)
})
