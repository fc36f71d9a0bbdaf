import { jit, randomKey, randomNormal, type Tensor, tensor } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { type KeyValueCache, MultiHeadAttention } from './attention.ts'
import { LearnedPositions, RotaryPositions, sinusoidalPositions } from './positions.ts'

const width = 8
const heads = 4
const batch = 2
const time = 5
type Rows = number[][]

const rowsOf = async (x: Tensor): Promise<Rows> => {
  const data = [...(await x.data())]
  const size = x.shape.at(-1)!
  return Array.from({ length: data.length / size }, (_, i) => data.slice(i * size, (i + 1) * size))
}

/** `x · weight + bias` in double precision. */
async function project(x: Rows, layer: { weight: Tensor; bias: Tensor | undefined }): Promise<Rows> {
  const weight = await rowsOf(layer.weight)
  const bias = layer.bias ? [...(await layer.bias.data())] : weight[0]!.map(() => 0)
  return x.map((row) => bias.map((b, j) => row.reduce((sum, value, k) => sum + value * weight[k]![j]!, b)))
}

/** Attention in plain loops over one example: `sees` says which keys a query sees. */
async function expected(
  layer: MultiHeadAttention,
  x: Rows,
  context: Rows,
  sees: (query: number, key: number, head: number) => boolean,
): Promise<Rows> {
  const { headWidth, keyValueHeads } = layer
  const [q, k, v] = [
    await project(x, layer.query),
    await project(context, layer.keys),
    await project(context, layer.values),
  ]
  const mixed = q.map((_, i) =>
    Array.from({ length: heads * headWidth }, (_, c) => {
      const head = Math.floor(c / headWidth)
      const shared = Math.floor(head / (heads / keyValueHeads))
      const scores = k.map((key, j) => {
        let sum = 0
        for (let d = 0; d < headWidth; d++) sum += q[i]![head * headWidth + d]! * key[shared * headWidth + d]!
        return sees(i, j, head) ? Math.exp(sum / Math.sqrt(headWidth)) : 0
      })
      const total = scores.reduce((a, b) => a + b, 0)
      if (total === 0) return 0
      return scores.reduce((sum, score, j) => sum + (score / total) * v[j]![shared * headWidth + (c % headWidth)]!, 0)
    }),
  )
  return project(mixed, layer.output)
}

function expectClose(actual: Rows, wanted: Rows, tolerance = 1e-5): void {
  expect(actual).toHaveLength(wanted.length)
  actual.forEach((row, i) => {
    row.forEach((value, j) => {
      expect(Math.abs(value - wanted[i]![j]!), `row ${i}, element ${j}`).toBeLessThan(tolerance)
    })
  })
}

const x = randomNormal(randomKey(5), [batch, time, width])
const context = randomNormal(randomKey(6), [batch, 3, 6])
const example = (rows: Rows, index: number) =>
  rows.slice((index * rows.length) / batch, ((index + 1) * rows.length) / batch)

describe('MultiHeadAttention in plain loops', () => {
  const mask = tensor(
    Array.from({ length: time }, (_, i) => Array.from({ length: time }, (_, j) => (i + 2 * j) % 3 !== 0 && i !== 3)),
  )
  const cases = {
    'to itself': { options: {}, call: {}, sees: () => true },
    causal: { options: { causal: true, bias: false }, call: {}, sees: (i: number, j: number) => j <= i },
    'to a context': { options: { contextWidth: 6 }, call: { context }, sees: () => true },
    'with shared keys and values': {
      options: { keyValueHeads: 2, headWidth: 3, causal: true },
      call: {},
      sees: (i: number, j: number) => j <= i,
    },
    'with a mask, of which one query sees nothing': {
      options: {},
      call: { mask },
      sees: (i: number, j: number) => (i + 2 * j) % 3 !== 0 && i !== 3,
    },
    'with a mask and causal': {
      options: { causal: true },
      call: { mask },
      sees: (i: number, j: number) => (i + 2 * j) % 3 !== 0 && i !== 3 && j <= i,
    },
  }
  for (const [name, { options, call, sees }] of Object.entries(cases)) {
    test(name, async () => {
      const layer = new MultiHeadAttention(width, heads, { key: randomKey(1), ...options })
      const actual = await rowsOf(layer.forward(x, call))
      const [inputs, contexts] = [await rowsOf(x), await rowsOf('context' in call ? call.context : x)]
      for (let n = 0; n < batch; n++) {
        expectClose(example(actual, n), await expected(layer, example(inputs, n), example(contexts, n), sees))
      }
    })
  }
})

describe('a cache', () => {
  for (const [name, options] of Object.entries({
    plain: {},
    'rotary, normalised, shared': { rotary: new RotaryPositions(2), normalized: true, keyValueHeads: 2 },
  })) {
    test(`gives token by token what the whole text gives: ${name}`, async () => {
      const layer = new MultiHeadAttention(width, heads, { key: randomKey(2), causal: true, ...options })
      const whole = await rowsOf(layer.forward(x))
      const cache = layer.cache(batch, 7)
      const step = jit((layer: MultiHeadAttention, cache: KeyValueCache, x: Tensor, position: Tensor) =>
        layer.forward(x, { cache, position }),
      )
      for (let i = 0; i < time; i++) {
        const rows = await rowsOf(step(layer, cache, x.slice(1, i, i + 1), tensor(new Int32Array([i]), [])))
        expectClose(rows, [whole[i]!, whole[time + i]!])
      }
      expect(step.compilations).toBe(1)
    })
  }

  test('needs causality and a position', () => {
    const layer = new MultiHeadAttention(width, heads, { key: randomKey(2) })
    expect(() => layer.forward(x, { cache: layer.cache(batch, 7), position: tensor(new Int32Array([0]), []) })).toThrow(
      /a cache needs causal/,
    )
  })
})

describe('positions', () => {
  test('sines and cosines of the paper', async () => {
    const rows = await rowsOf(sinusoidalPositions(6, 4, tensor(new Int32Array([100]), [])))
    const wanted = Array.from({ length: 6 }, (_, p) =>
      [0, 1].flatMap((i) => [Math.sin((100 + p) / 10_000 ** (i / 2)), Math.cos((100 + p) / 10_000 ** (i / 2))]),
    )
    expectClose(rows, wanted)
  })

  test('rotary positions turn pairs by their angles, in both layouts', async () => {
    const channels = 6
    const q = randomNormal(randomKey(3), [1, 4, channels])
    const values = await rowsOf(q)
    for (const layout of ['halves', 'pairs'] as const) {
      const turned = await rowsOf(new RotaryPositions(channels, { layout, base: 100 }).forward(q))
      const wanted = values.map((row, p) => {
        const result = [...row]
        for (let i = 0; i < channels / 2; i++) {
          const [a, b] = layout === 'halves' ? [i, i + channels / 2] : [2 * i, 2 * i + 1]
          const angle = p * 100 ** ((-2 * i) / channels)
          result[a] = row[a]! * Math.cos(angle) - row[b]! * Math.sin(angle)
          result[b] = row[a]! * Math.sin(angle) + row[b]! * Math.cos(angle)
        }
        return result
      })
      expectClose(turned, wanted)
    }
  })

  test('products of turned vectors depend on distances alone', async () => {
    const rotary = new RotaryPositions(8)
    const [q, k] = [randomNormal(randomKey(3), [1, 8]), randomNormal(randomKey(4), [1, 8])]
    const at = (x: Tensor, position: number) => rotary.forward(x, tensor(new Int32Array([position]), []))
    const product = (i: number, j: number) => at(q, i).multiply(at(k, j)).sum().item()
    expect(await product(7, 3)).toBeCloseTo(await product(104, 100), 3)
  })

  test('learned positions are added, and have an end', async () => {
    const positions = new LearnedPositions(3, 2, { key: randomKey(0) })
    positions.table.weight = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    expect([...(await positions.forward(tensor([[10, 10]]), tensor(new Int32Array([2]), [])).data())]).toEqual([15, 16])
    expect(() =>
      positions.forward(
        tensor([
          [0, 0],
          [0, 0],
          [0, 0],
          [0, 0],
        ]),
      ),
    ).toThrow(/there are 3 positions/)
  })

  test('what does not fit is refused', () => {
    expect(() => new RotaryPositions(5)).toThrow(/channels must be even, got 5/)
    const key = randomKey(0)
    expect(() => new MultiHeadAttention(8, 3, { key })).toThrow(/headWidth must be a whole number/)
    expect(() => new MultiHeadAttention(8, 4, { key, keyValueHeads: 3 })).toThrow(
      /3 heads of keys and values must divide the 4/,
    )
    expect(() => new MultiHeadAttention(8, 4, { key, rotary: new RotaryPositions(8) })).toThrow(
      /8 channels, heads have 2/,
    )
  })
})
