import { describe, expect, it } from 'vitest'
import {
  attention,
  averagePool2d,
  type BatchAxes,
  concatenate,
  conv2d,
  crossEntropyLosses,
  grad,
  jit,
  layerNorm,
  maxPool2d,
  randomKey,
  randomNormal,
  splitKey,
  stack,
  type Tensor,
  tensor,
  vmap,
  where,
} from '../index.ts'

function numbers(shape: readonly number[], seed = 1): Tensor {
  let state = seed * 2654435761 + 1
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648 - 0.5
  }
  return tensor(Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape)
}

const integers = (values: readonly number[], shape: readonly number[]) => tensor(new Int32Array(values), shape)

/** `vmap` against a loop over the examples. */
async function expectLoop(
  body: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  inAxes: readonly (number | null)[],
): Promise<void> {
  const size = inputs[inAxes.findIndex((axis) => axis !== null)]!.shape[inAxes.find((axis) => axis !== null)!]!
  const loop = stack(
    Array.from({ length: size }, (_, i) =>
      body(...inputs.map((input, k) => (inAxes[k] === null ? input : input.select(inAxes[k]!, i)))),
    ),
  )
  const batched = vmap(body, { inAxes: inAxes as BatchAxes })(...inputs)
  expect(batched.shape).toEqual(loop.shape)
  expect(batched.dtype).toBe(loop.dtype)
  const [got, expected] = [await batched.data(), await loop.data()]
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(got[i]! - expected[i]!) <= 1e-12 || Object.is(got[i], expected[i])).toBe(true)
}

type Case = [(...inputs: Tensor[]) => Tensor, Tensor[], ...(readonly (number | null)[])[]]
const cases: Record<string, Case> = {
  'elementwise with broadcasting': [
    (x, y) => x.exp().multiply(y).add(x.less(y).cast('f64')),
    [numbers([3, 2, 4]), numbers([3, 4], 2)],
    [0, 0],
  ],
  'a batch axis at the end': [(x, y) => x.add(y).sum(0), [numbers([2, 5, 3]), numbers([2, 5], 2)], [2, null]],
  where: [(x, y) => where(x.less(y), x, y.negate()), [numbers([3, 4]), numbers([3, 4], 2)], [0, 0], [0, null]],
  reductions: [(x) => x.max(0).add(x.product(1).sum()).add(x.min()), [numbers([3, 2, 2])], [0], [1]],
  'arg max': [(x) => x.argMax(), [numbers([4, 5])], [0], [1]],
  movement: [
    (x) =>
      x
        .transpose()
        .reshape([6])
        .slice(0, -1, undefined, -2)
        .pad([[1, 2]], 3)
        .expand([2, 6]),
    [numbers([3, 2, 3])],
    [0],
  ],
  concatenation: [(x, y) => concatenate([x, y, x], 1), [numbers([3, 2, 2]), numbers([2, 1], 4)], [0, null]],
  'matrix products': [(x, y) => x.matmul(y), [numbers([3, 3, 3]), numbers([3, 3, 3], 2)], [0, 0], [1, 2]],
  'matrix product with one weight': [(x, y) => x.matmul(y), [numbers([3, 2, 4]), numbers([4, 5], 2)], [0, null]],
  'one matrix, many weights': [(x, y) => x.matmul(y), [numbers([2, 4]), numbers([3, 4, 5], 2)], [null, 0]],
  'matrix × vector': [(x, y) => x.matmul(y), [numbers([3, 2, 4]), numbers([3, 4], 2)], [0, 0]],
  'gather from batched tables': [
    (x, i) => x.gather(i, 1),
    [numbers([3, 2, 4]), integers([3, 0, 7, -2], [2, 2])],
    [0, null],
  ],
  'gather at batched places': [
    (x, i) => x.gather(i, 1),
    [numbers([2, 4, 2]), integers([3, 0, 9, 1, -2, 2], [3, 2])],
    [null, 0],
  ],
  'gather, both batched': [
    (x, i) => x.gather(i, 1),
    [numbers([3, 2, 4, 2]), integers([3, 0, 9, 1, -2, 2, 0, 0, 1, 3, 3, 2], [3, 2, 2])],
    [0, 0],
  ],
  'scatter-add into batched bases': [
    (x, i, u) => x.scatterAdd(i, u, 1),
    [numbers([3, 2, 4]), integers([3, 3], [2]), numbers([2, 2], 3)],
    [0, null, null],
  ],
  'scatter at batched places': [
    (x, i, u) => x.scatterAdd(i, u, 1).add(x.scatterSet(i, u, 1)),
    [numbers([2, 4, 2]), integers([3, 3, 9, 1, -2, 2], [3, 2]), numbers([3, 2, 2, 2], 3)],
    [null, 0, 0],
  ],
  'scatter, all batched': [
    (x, i, u) => x.scatterSet(i, u, 0),
    [numbers([3, 4]), integers([3, 3, 9, 1, -2, 2], [3, 2]), numbers([3, 2], 3)],
    [0, 0, 0],
  ],
  'softmax, log-softmax and gelu': [(x) => x.softmax().add(x.logSoftmax(0)).gelu(), [numbers([3, 2, 4])], [0], [2]],
  'layer norm': [
    (x, g, b) => layerNorm(x, g, b),
    [numbers([3, 2, 3]), numbers([3, 3], 2), numbers([3, 3], 3)],
    [0, 0, 0],
  ],
  'layer norm with one gain': [(x, g) => layerNorm(x, g), [numbers([3, 2, 3]), numbers([3], 2)], [0, null]],
  'cross-entropy': [
    (x, t) => crossEntropyLosses(x, t),
    [numbers([3, 2, 4]), integers([0, 3, 1, 2, 2, 0], [3, 2])],
    [0, 0],
  ],
  attention: [
    (q, k, v) => attention(q, k, v, { causal: true }),
    [numbers([3, 4, 2]), numbers([3, 4, 2], 2), numbers([4, 3], 3)],
    [0, 0, null],
  ],
  'attention at a batched position': [
    (q, offset) => attention(q, q, q, { causal: true, offset: offset! }),
    [numbers([3, 4, 2]), integers([0, 1, 2], [3])],
    [0, 0],
    [null, 0],
  ],
  convolution: [
    (x, w) => conv2d(x, w, { padding: 1, stride: 2 }).square(),
    [numbers([3, 2, 2, 5, 4]), numbers([3, 3, 2, 3, 3], 2)],
    [0, 0],
  ],
  'convolution with one filter, and its gradient': [
    (x, w) =>
      grad((x: Tensor) =>
        maxPool2d(conv2d(x, w, { padding: 1 }), 2)
          .square()
          .sum(),
      )(x) as Tensor,
    [numbers([3, 2, 2, 5, 4]), numbers([3, 2, 3, 3], 2)],
    [0, null],
  ],
  'gradient by the filter': [
    (x, w) => grad((w: Tensor) => averagePool2d(conv2d(x, w), 2).square().sum())(w) as Tensor,
    [numbers([3, 2, 2, 5, 4]), numbers([3, 2, 3, 3], 2)],
    [0, null],
  ],
  'gradient of attention': [
    (q, k) => grad((q: Tensor) => attention(q, k, k, { causal: true }).square().sum())(q) as Tensor,
    [numbers([3, 4, 2]), numbers([3, 4, 2], 2)],
    [0, 0],
  ],
  'random numbers under batched keys': [(key) => randomNormal(key, [2, 3]), [stack(splitKey(randomKey(3), 4))], [0]],
  'a gradient for each example': [
    (x, w) => grad((w: Tensor) => x.matmul(w).tanh().square().sum())(w) as Tensor,
    [numbers([3, 4]), numbers([4, 2], 2)],
    [0, null],
  ],
  'vmap inside vmap': [
    (x, y) => vmap((a: Tensor) => vmap((b: Tensor) => a.multiply(b).sum())(y))(x),
    [numbers([3, 2, 4]), numbers([3, 5, 4], 2)],
    [0, 0],
  ],
  'results that do not depend on the batch': [(_, y) => y.exp(), [numbers([3, 2]), numbers([2], 2)], [0, null]],
  'an empty example': [(x) => x.sum(), [numbers([3, 0])], [0]],
}

describe('vmap is a loop', () => {
  for (const [name, [body, inputs, ...axes]] of Object.entries(cases))
    for (const inAxes of axes) it(`${name} (${inAxes.join(', ')})`, () => expectLoop(body, inputs, inAxes))
})

describe('vmap', () => {
  it('handles an empty batch', async () => {
    const result = vmap((x: Tensor) => x.exp().sum())(numbers([0, 2]))
    expect(result.shape).toEqual([0])
    expect(await result.data()).toHaveLength(0)
  })

  it('takes axes for each part of a tree, and puts the batch where asked', async () => {
    const layer = vmap(
      ({ weight, bias }: { weight: Tensor; bias: Tensor }, x: Tensor) => ({ y: x.matmul(weight).add(bias), bias }),
      { inAxes: [{ weight: 2, bias: null }, null], outAxes: { y: 1, bias: null } },
    )
    const weight = numbers([2, 3, 4])
    const { y, bias } = layer({ weight, bias: numbers([3], 5) }, numbers([2], 7))
    expect([y.shape, bias.shape]).toEqual([[3, 4], [3]])
    const third = numbers([2], 7)
      .matmul(weight.select(2, 2))
      .add(numbers([3], 5))
    expect([...(await y.select(1, 2).data())]).toEqual([...(await third.data())])
  })

  it('batches the parameters of modules and leaves them as they were', async () => {
    class Scale {
      factor = numbers([3, 2])
      forward(x: Tensor): Tensor {
        return x.multiply(this.factor)
      }
    }
    const module = new Scale()
    const { factor } = module
    const y = vmap((m: Scale, x: Tensor) => m.forward(x), { inAxes: [0, null] })(module, numbers([2], 4))
    expect(module.factor).toBe(factor)
    expect(factor.shape).toEqual([3, 2])
    expect([...(await y.data())]).toEqual([...(await factor.multiply(numbers([2], 4)).data())])
  })

  it('works inside jit and takes jitted functions', async () => {
    const square = jit((x: Tensor) => x.square().sum())
    const x = numbers([3, 2])
    const y = jit((x: Tensor) => vmap(square)(x))(x)
    expect([...(await y.data())]).toEqual([...(await x.square().sum(1).data())])
  })

  it('says which axes do not agree', () => {
    expect(() => vmap((x: Tensor, y: Tensor) => x.add(y))(numbers([3]), numbers([4]))).toThrow(
      /argument 0 \(f64\[3\]\) has 3 along axis 0, argument 1 \(f64\[4\]\) has 4/,
    )
    expect(() => vmap((x: Tensor) => x, { inAxes: null })(numbers([3]))).toThrow(/no argument is batched/)
    expect(() => vmap((x: Tensor) => x, { outAxes: null })(numbers([3]))).toThrow(/outAxes is null/)
  })
})
