import { wasm } from '@tessera/backend-wasm'
import { createRuntime, full, randomKey, randomNormal, splitKey, type Tensor, tensor } from '@tessera/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sparseAttention } from './op.ts'
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
} from './patterns/pattern.ts'
import { isVisible } from './patterns/visible.ts'
import { anyCase, apart, attendWith, type Case, masked, results } from './testing/dense.ts'
import { sparseAttentionWasm } from './wasm/index.ts'

describe('sparse attention is dense attention with a mask', () => {
  it('by its definition', () =>
    fc.assert(
      fc.asyncProperty(anyCase(30), async (test) => {
        const [expected, found] = [await results([], test, masked(test)), await results([], test, attendWith(test))]
        expect(apart(found[0]!, expected[0]!)).toBeLessThan(1e-5)
        for (const i of [1, 2, 3]) expect(apart(found[i]!, expected[i]!)).toBeLessThan(1e-4)
      }),
      { numRuns: 10 },
    ))

  it('by the kernels, plain and relaxed', () =>
    fc.assert(
      fc.asyncProperty(anyCase(80), async (test) => {
        const expected = await results([], test, masked(test))
        for (const variant of ['plain', 'relaxed'] as const) {
          const plugins = [wasm({ variant, threads: 1 }), sparseAttentionWasm()]
          const found = await results(plugins, test, attendWith(test))
          expect(apart(found[0]!, expected[0]!), variant).toBeLessThan(1e-5)
          for (const i of [1, 2, 3]) expect(apart(found[i]!, expected[i]!), variant).toBeLessThan(1e-4)
        }
      }),
      { numRuns: 12 },
    ))

  // Long enough for whole tiles of queries, several runs of keys, and rests of both.
  const long = { batch: 1, heads: 1, length: 211, width: 24, values: 40 }
  const mask = Array.from({ length: 5 }, (_, a) => Array.from({ length: 5 }, (_, b) => a === b || (a + b) % 2 === 0))
  const raster = { text: 50, width: 12 }

  it.each<SparsePattern>([
    dense(),
    local(60),
    strided(14),
    strided(14, 'column'),
    fixed(20, 3),
    fixed(20, 3, { part: 'summary', subBlock: 2 }),
    row(raster.text, raster.width),
    column(raster.text, raster.width),
    convolution(raster.text, raster.width, 5),
    blocks(48, mask, { causal: false }),
  ])('by the kernels with wide vectors, in optimised code: %o', async (pattern) => {
    const test: Case = { ...long, patterns: [pattern] }
    const expected = await results([], test, masked(test))
    const plugins = [wasm({ wide: true, threads: 1 }), sparseAttentionWasm()]
    const found = await results(plugins, test, attendWith(test), { optimised: true })
    expect(apart(found[0]!, expected[0]!)).toBeLessThan(1e-5)
    for (const i of [1, 2, 3]) expect(apart(found[i]!, expected[i]!)).toBeLessThan(1e-4)
  })

  it('by the kernels with wide vectors, in optimised code, of random sizes', () =>
    fc.assert(
      fc.asyncProperty(anyCase(80), async (test) => {
        const expected = await results([], test, masked(test))
        const plugins = [wasm({ wide: true, threads: 1 }), sparseAttentionWasm()]
        const found = await results(plugins, test, attendWith(test), { optimised: true })
        expect(apart(found[0]!, expected[0]!)).toBeLessThan(1e-5)
        for (const i of [1, 2, 3]) expect(apart(found[i]!, expected[i]!)).toBeLessThan(1e-4)
      }),
      { numRuns: 6 },
    ))

  it.each([strided(40), fixed(40, 6), local(33)])(
    'with the same bits on one thread and on three: %o',
    async (pattern) => {
      const test: Case = { batch: 1, heads: 1, length: 620, width: 20, values: 20, patterns: [pattern] }
      const on = (threads: number) =>
        results([wasm({ variant: 'relaxed', threads }), sparseAttentionWasm()], test, attendWith(test))
      expect(await on(3)).toEqual(await on(1))
    },
  )
})

describe('decoding with a cache', () => {
  it.each([strided(7), fixed(10, 3), local(12)])(
    'gives at each position what the whole text gives: %o',
    async (pattern) => {
      const runtime = await createRuntime({ use: [wasm({ variant: 'relaxed', threads: 1 }), sparseAttentionWasm()] })
      const [query, key, value] = splitKey(randomKey(2), 3).map((seed) => randomNormal(seed, [2, 45, 8])) as [
        Tensor,
        Tensor,
        Tensor,
      ]
      const whole = await sparseAttention(query, key, value, pattern).data()
      const pieces: number[][] = [[], []]
      for (let start = 0; start < 45; start += 4) {
        const offset = tensor(Int32Array.of(start), [])
        const piece = sparseAttention(query.slice(1, start, Math.min(45, start + 4)), key, value, pattern, { offset })
        const data = [...(await piece.data())]
        pieces[0]!.push(...data.slice(0, data.length / 2))
        pieces[1]!.push(...data.slice(data.length / 2))
      }
      expect(apart(Float32Array.from(pieces.flat()), new Float32Array(whole))).toBeLessThan(1e-5)
      await runtime.close()
    },
  )

  it('does not read keys that the pattern hides', async () => {
    const runtime = await createRuntime({ use: [wasm({ variant: 'relaxed', threads: 1 }), sparseAttentionWasm()] })
    const cells = Float32Array.from({ length: 30 * 4 }, (_, i) => Math.sin(i))
    for (let j = 0; j < 30; j++) if (!isVisible(strided(6), 20, j)) cells.fill(Number.NaN, 4 * j, 4 * j + 4)
    const keys = tensor(cells, [1, 30, 4])
    const query = randomNormal(randomKey(1), [1, 1, 4])
    const mixed = sparseAttention(query, keys, keys, strided(6), { offset: tensor(Int32Array.of(20), []) })
    expect((await mixed.data()).every(Number.isFinite)).toBe(true)
    await runtime.close()
  })
})

describe('lengths beyond memory', () => {
  const attend = (length: number) => {
    const x = full([1, length, 64], 0.5).add(tensor([1]))
    return sparseAttention(x, x, x, strided(1024)).slice(1, 0, 1)
  }

  it('are refused with the bytes that they would take', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 }), sparseAttentionWasm()] })
    await expect(attend(2 ** 23).data()).rejects.toThrow(
      /cannot run a program that plans \d{10} bytes .* the memory may hold 4294967296\. Make the batch smaller/,
    )
    await runtime.close()
  })

  it('are refused without kernels with the scores that there would be', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
    await expect(attend(2 ** 17).data()).rejects.toThrow(
      /scores \[1, 131072, 131072\] are 17179869184 elements; .* Add sparseAttentionWasm\(\) to the runtime, or take shorter sequences/,
    )
    await runtime.close()
  })
})
