import { describe, expect, it } from 'vitest'
import {
  applyOp,
  concatenate,
  copy,
  createRuntime,
  crossEntropyLosses,
  defineOp,
  dropout,
  eye,
  grad,
  jit,
  layerNorm,
  namedTensors,
  ones,
  randomBits,
  randomInteger,
  randomKey,
  randomNormal,
  randomUniform,
  range,
  scope,
  splitKey,
  stack,
  type Tensor,
  tensor,
  where,
  zeros,
} from '../index.ts'

declare module '../graph/operations.ts' {
  interface OpAttributes {
    testSwish: { readonly slope: number }
    testPair: Record<never, never>
  }
}

const values = async (x: Tensor) => [...(await x.data())]

describe('tensors', () => {
  it('come from nested arrays, typed arrays and booleans', async () => {
    expect(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    ).toMatchObject({ shape: [2, 2], dtype: 'f32', size: 4, rank: 2 })
    expect(tensor(new Int32Array(6), [2, 3])).toMatchObject({ shape: [2, 3], dtype: 'i32' })
    expect(tensor([true, false])).toMatchObject({ shape: [2], dtype: 'bool' })
    expect(tensor(7)).toMatchObject({ shape: [], dtype: 'f32' })
    const data = new Float32Array([1])
    const held = tensor(data)
    data[0] = 2
    expect(await held.item()).toBe(1)
  })

  it('refuse ragged arrays, wrong lengths and shapes that do not fit, with the values', () => {
    expect(() => tensor([[1, 2], [3]])).toThrow(/element 0 has shape \[2\], element 1 \[1\]/)
    expect(() => tensor([1, 2, 3], [2, 2])).toThrow(/shape \[2, 2\] has 4 elements, the data has 3/)
    expect(() => zeros([2, 3]).add(zeros([4]))).toThrow(/\[2, 3\] and \[4\] do not broadcast/)
    expect(() => zeros([2, 3]).matmul(zeros([2, 3]))).toThrow(/f32\[2, 3\] × f32\[2, 3\] does not fit/)
    expect(() => zeros([2, 3]).reshape([4, -1])).toThrow(/does not fit \[4, -1\]/)
    expect(() => zeros([2, 3]).sum(2)).toThrow(/axis 2 does not exist/)
    expect(() => zeros([2, 3]).split(2, 1)).toThrow(/does not divide into 2 equal parts/)
    expect(() => Number(zeros([]))).toThrow(/not a number yet/)
    expect(() => crossEntropyLosses(zeros([2, 3]), zeros([2]))).toThrow(/targets must be integers/)
  })

  it('promote formats', async () => {
    const integers = tensor(new Int32Array([7, -7]))
    expect(integers.add(1).dtype).toBe('i32')
    expect(integers.add(0.5).dtype).toBe('f32')
    expect(integers.divide(2).dtype).toBe('f32')
    expect(await values(integers.divideTruncated(2))).toEqual([3, -3])
    expect(await values(integers.remainder(4))).toEqual([3, -3])
    expect(tensor([true]).add(integers).dtype).toBe('i32')
    expect(tensor([1]).multiply(tensor(new Float64Array([1]))).dtype).toBe('f64')
  })

  it('take part in comparisons and choices', async () => {
    const x = tensor([1, 2, 3])
    expect(await values(x.greater(2))).toEqual([0, 0, 1])
    expect(await values(where(x.greaterEqual(2), x, -1))).toEqual([-1, 2, 3])
    expect(await x.argMax().item()).toBe(2)
    expect(
      await values(
        tensor([
          [1, 5, 5],
          [9, 2, 3],
        ]).argMax(1),
      ),
    ).toEqual([1, 0])
    expect(
      await values(
        tensor([
          [1, 5],
          [9, 2],
        ]).argMin(0),
      ),
    ).toEqual([0, 1])
  })

  it('move and join', async () => {
    const x = range(6).reshape([2, 3])
    expect(await values(x.transpose())).toEqual([0, 3, 1, 4, 2, 5])
    expect(await values(x.flip(1))).toEqual([2, 1, 0, 5, 4, 3])
    expect(await values(x.slice(1, -2))).toEqual([1, 2, 4, 5])
    expect(await values(x.slice(1, 2, undefined, -2))).toEqual([2, 0, 5, 3])
    expect(await values(x.select(0, -1))).toEqual([3, 4, 5])
    expect(
      await values(
        x.pad(
          [
            [0, 1],
            [1, 0],
          ],
          9,
        ),
      ),
    ).toEqual([9, 0, 1, 2, 9, 3, 4, 5, 9, 9, 9, 9])
    expect(await values(concatenate([x, x.add(10)], 1))).toEqual([0, 1, 2, 10, 11, 12, 3, 4, 5, 13, 14, 15])
    expect((await values(stack([x, x], 1))).length).toBe(12)
    expect(await values(eye(2))).toEqual([1, 0, 0, 1])
    expect(x.unsqueeze(-1).shape).toEqual([2, 3, 1])
    expect(x.flatten().shape).toEqual([6])
  })

  it('know empty tensors', async () => {
    expect(await zeros([0, 3]).sum().item()).toBe(0)
    expect(await values(zeros([0, 3]).sum(0))).toEqual([0, 0, 0])
    expect(await values(ones([2, 0]).matmul(ones([0, 2])))).toEqual([0, 0, 0, 0])
    expect(await values(concatenate([zeros([0]), ones([2])]))).toEqual([1, 1])
    expect(await values(zeros([0]).add(1))).toEqual([])
    expect(() => zeros([0]).max().item()).toThrow(/has no maximum/)
  })

  it('give the loss NaN for a target out of range', async () => {
    const losses = await values(crossEntropyLosses(zeros([3, 4]), tensor(new Int32Array([0, 4, -1]))))
    expect(losses[0]).toBeCloseTo(Math.log(4))
    expect(losses.slice(1)).toEqual([Number.NaN, Number.NaN])
  })

  it('share programs of equal structure', async () => {
    const runtime = await createRuntime({
      debug: 1,
      log: () => {
        stages++
      },
    })
    let stages = 0
    await tensor([1, 2])
      .add(tensor([3, 4]))
      .data()
    const once = stages
    expect(await values(tensor([5, 6]).add(tensor([7, 8])))).toEqual([12, 14])
    expect(stages).toBe(once)
    await runtime.close()
  })
})

it('weights of equal layers share a program, also when they are computed together', async () => {
  let stages = 0
  const runtime = await createRuntime({
    debug: 1,
    log: () => {
      stages++
    },
  })
  const sum = jit((weights: Tensor[]) => weights.reduce((total, weight) => total.add(weight.sum()), tensor(0)))
  await sum([0, 1, 2].map(() => tensor(new Float32Array(15), [3, 5]))).data()
  const [first, ...others] = splitKey(randomKey(1), 4).map((key) => randomNormal(key, [3, 5])) as [Tensor, ...Tensor[]]
  await first.data()
  const known = stages
  await sum(others).data()
  expect(stages).toBe(known)
  await runtime.close()
})

describe('memory', () => {
  it('is freed by dispose and scope, except what is returned or kept', async () => {
    const runtime = await createRuntime()
    const x = tensor(new Float32Array(100)).realize()
    await x.data()
    x.add(1).realize().dispose()
    const base = runtime.memory().usedBytes
    let kept: Tensor | undefined
    const y = await scope(async (inner) => {
      const a = x.add(1).realize()
      const b = a.multiply(2).realize()
      kept = inner.keep(a.subtract(1)).realize()
      // Not computed yet: what it needs has to stay.
      return b.add(a)
    })
    expect((await y.data())[0]).toBe(3)
    expect((await kept!.data())[0]).toBe(0)
    y.dispose()
    kept!.dispose()
    scope(() => void x.add(5).realize())
    expect(runtime.memory().usedBytes - base).toBeLessThanOrEqual(800)
    const gone = x.add(2).realize()
    gone.dispose()
    await expect(gone.add(1).data()).rejects.toThrow(/used after dispose/)
    await runtime.close()
    await expect(
      x
        .add(1)
        .data()
        .then(() => y.data()),
    ).rejects.toThrow()
  })

  it('is copied by copy()', async () => {
    const x = tensor([1, 2]).realize()
    const y = copy(x)
    x.dispose()
    expect(await values(y)).toEqual([1, 2])
  })
})

describe('random numbers', () => {
  it('are Threefry-2x32 with 20 rounds (known answers of Random123)', async () => {
    const bits = await values(randomBits(tensor(new Uint32Array([0, 0])), [1]))
    expect(bits).toEqual([(0x6b200159 ^ 0x99ba4efe) >>> 0])
  })

  it('depend on the key only, and split keys give others', async () => {
    const [a, b] = splitKey(randomKey(7)) as [Tensor, Tensor]
    const first = await values(randomUniform(a, [4]))
    expect(await values(randomUniform(a, [4]))).toEqual(first)
    expect(await values(randomUniform(b, [4]))).not.toEqual(first)
    expect(() => randomKey(-1)).toThrow(/seed must be an integer/)
  })

  it.each([0, 7, 2 ** 32 + 5, 2 ** 53 - 1])(
    'split the key of seed %d alike on the host and in a program',
    async (seed) => {
      const split = (key: Tensor) => stack(splitKey(key, 5))
      expect(await values(split(randomKey(seed)))).toEqual(await values(jit(split)(randomKey(seed))))
    },
  )

  it('follow their distributions', async () => {
    const n = 20000
    const moments = async (x: Tensor) => [await x.mean().item(), await x.variance().item()] as const
    const [mean, variance] = await moments(randomNormal(randomKey(1), [n], 3, 2))
    expect(Math.abs(mean - 3)).toBeLessThan(5 * (2 / Math.sqrt(n)))
    expect(Math.abs(variance - 4)).toBeLessThan(5 * 4 * Math.sqrt(2 / n))
    const [center, spread] = await moments(randomUniform(randomKey(2), [n], -1, 1))
    expect(Math.abs(center)).toBeLessThan(5 / Math.sqrt(3 * n))
    expect(Math.abs(spread - 1 / 3)).toBeLessThan(0.01)
    const integers = await values(randomInteger(randomKey(3), [n], -2, 3))
    expect([...new Set(integers)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2])
    const kept = (await values(dropout(ones([n]), 0.25, randomKey(4)))).filter((value) => value !== 0)
    expect(Math.abs(kept.length / n - 0.75)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / n))
    expect(kept[0]).toBeCloseTo(1 / 0.75)
  })
})

describe('ops of one’s own', () => {
  it('are lowered, differentiated by their own rule, and may have several outputs', async () => {
    const swish = defineOp({
      op: 'testSwish',
      lower: ([x], { slope }) => [x!.multiply(x!.multiply(slope).sigmoid())],
      vjp: ({ gradients: [gradient] }) => [gradient!.multiply(42)],
    })
    const apply = (x: Tensor) => applyOp(swish, [x], { slope: 1 })[0]!
    expect(await apply(tensor([0])).item()).toBe(0)
    expect(await (grad((x: Tensor) => apply(x).sum())(tensor([1])) as Tensor).item()).toBe(42)

    const pair = defineOp({ op: 'testPair', lower: ([x]) => [x!.add(1), x!.square()] })
    const [plus, squared] = applyOp(pair, [tensor([3])], {}) as [Tensor, Tensor]
    expect([await plus.item(), await squared.item()]).toEqual([4, 9])
    const gradient = grad((x: Tensor) => {
      const [plus, squared] = applyOp(pair, [x], {}) as [Tensor, Tensor]
      return plus.multiply(squared).sum()
    })(tensor([3])) as Tensor
    expect(await gradient.item()).toBe(9 + 4 * 6)
  })
})

describe('trees', () => {
  it('name their tensors by path', () => {
    class Layer {
      weight = zeros([1])
      readonly size = 1
    }
    const tree = { layers: [new Layer(), new Layer()], scale: ones([1]) }
    expect([...namedTensors(tree).keys()]).toEqual(['layers.0.weight', 'layers.1.weight', 'scale'])
  })
})

it('layer norm has mean 0 and variance 1', async () => {
  const y = layerNorm(tensor([[1, 2, 3, 4]]))
  expect(await y.mean().item()).toBeCloseTo(0, 6)
  expect(await y.variance().item()).toBeCloseTo(1, 4)
})
