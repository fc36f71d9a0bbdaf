import { softwareAdapters } from '@tessera/backend-webgpu/node'
import { createRuntime, jit, randomKey, randomNormal, splitKey, type Tensor, tensor } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sparseAttention } from '../op.ts'
import {
  blocks,
  column,
  convolution,
  dense,
  fixed,
  local,
  row,
  type SparsePattern,
  strided,
} from '../patterns/pattern.ts'
import { isVisible } from '../patterns/visible.ts'
import { anyCase, apart, attendWith, type Case, masked, results } from '../testing/dense.ts'
import { sparseAttentionWebGpu } from './index.ts'

const mask = [
  [1, 0, 1],
  [0, 1, 0],
  [1, 1, 1],
]

/** Every pattern with all of its parts, more keys than the shaders take at a time. */
const patterns: readonly (readonly SparsePattern[])[] = [
  [dense(), local(9)],
  [strided(7), strided(5, 'window'), strided(6, 'column')],
  [fixed(8, 2), fixed(8, 2, { subBlock: 1 }), fixed(9, 3, { part: 'block' }), fixed(9, 2, { part: 'summary' })],
  [row(5, 6), column(5, 6), convolution(5, 6, 3), column(0, 4)],
  [blocks(14, mask), blocks(14, mask, { causal: false })],
]

for (const { name, plugin, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  const plugins = [plugin, sparseAttentionWebGpu()]

  describe(`sparse attention on ${name}`, () => {
    const check = async (test: Case): Promise<void> => {
      const expected = await results([], test, masked(test))
      const found = await results(plugins, test, attendWith(test))
      expect(apart(found[0]!, expected[0]!)).toBeLessThan(1e-5)
      for (const i of [1, 2, 3]) expect(apart(found[i]!, expected[i]!), `gradient ${i}`).toBeLessThan(1e-4)
    }

    it.each(patterns)('is dense attention with a mask: %o', (...list) =>
      check({ batch: 2, heads: 2 * list.length, length: 41, width: 8, values: 12, patterns: list }),
    )

    it('for any pattern, length and width', () => fc.assert(fc.asyncProperty(anyCase(80, 4), check), { numRuns: 2 }))

    it('is computed by the kernels, whose widths must be multiples of four', async () => {
      const runtime = await createRuntime({ use: plugins })
      for (const width of [8, 6]) {
        const x = randomNormal(randomKey(1), [2, 30, width])
        const attend = jit((value: Tensor) => sparseAttention(value, value, value, strided(5)))
        await (attend(x) as Tensor).data()
        expect(attend.explain().includes('sparse-attention/forward')).toBe(width === 8)
      }
      await runtime.close()
    })

    it.each([fixed(10, 3), local(12)])('decodes as the whole text gives: %o', async (pattern) => {
      const runtime = await createRuntime({ use: plugins })
      const [query, key, value] = splitKey(randomKey(2), 3).map((seed) => randomNormal(seed, [2, 45, 8])) as [
        Tensor,
        Tensor,
        Tensor,
      ]
      const whole = await sparseAttention(query, key, value, pattern).data()
      const piece = jit((rows: Tensor, offset: Tensor) => sparseAttention(rows, key, value, pattern, { offset }))
      for (const start of [0, 20, 41]) {
        const part = piece(query.slice(1, start, start + 4), tensor(Int32Array.of(start), [])) as Tensor
        const data = new Float32Array(await part.data())
        const expected = [0, 1].flatMap((head) => [
          ...whole.slice((head * 45 + start) * 8, (head * 45 + start + 4) * 8),
        ])
        expect(apart(data, Float32Array.from(expected as number[]))).toBeLessThan(1e-5)
      }
      expect(piece.explain()).toContain('sparse-attention/cached')
      await runtime.close()
    })

    it('does not read keys that the pattern hides', async () => {
      const runtime = await createRuntime({ use: plugins })
      const cells = Float32Array.from({ length: 30 * 4 }, (_, i) => Math.sin(i))
      for (let j = 0; j < 30; j++) if (!isVisible(strided(6), 20, j)) cells.fill(Number.NaN, 4 * j, 4 * j + 4)
      const keys = tensor(cells, [1, 30, 4])
      const offset = tensor(Int32Array.of(20), [])
      const mixed = sparseAttention(randomNormal(randomKey(1), [1, 1, 4]), keys, keys, strided(6), { offset })
      expect((await mixed.data()).every(Number.isFinite)).toBe(true)
      await runtime.close()
    })
  })
}
