import { describe, expect, it } from 'vitest'
import {
  attention,
  concatenate,
  createRuntime,
  crossEntropyLosses,
  grad,
  layerNorm,
  type Tensor,
  tensor,
  valueAndGrad,
  where,
} from '../index.ts'

/** Deterministic numbers in (−0.5, 0.5), in float64 so that finite differences are exact to 1e-9. */
function numbers(shape: readonly number[], seed: number): Tensor {
  let state = seed * 2654435761 + 1
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648 - 0.5
  }
  const size = shape.reduce((product, extent) => product * extent, 1)
  return tensor(Float64Array.from({ length: size }, next), shape)
}

/** Largest relative difference between the gradient and central differences of a weighted sum of the function's values. */
async function worstError(
  body: (...inputs: Tensor[]) => Tensor,
  shapes: readonly (readonly number[])[],
): Promise<number> {
  const inputs = shapes.map((shape, i) => numbers(shape, i + 1))
  const weights = numbers(body(...inputs).shape, 99)
  const loss = (values: Tensor[]) =>
    body(...values)
      .multiply(weights)
      .sum()
  const gradients = grad(loss)(inputs) as Tensor[]
  let worst = 0
  for (const [i, input] of inputs.entries()) {
    const values = (await input.data()) as Float64Array
    const analytic = await gradients[i]!.data()
    for (let element = 0; element < values.length; element++) {
      const shifted = async (step: number) => {
        const moved = values.slice()
        moved[element]! += step
        return loss(inputs.map((other, j) => (j === i ? tensor(moved, input.shape) : other))).item()
      }
      const numeric = ((await shifted(1e-5)) - (await shifted(-1e-5))) / 2e-5
      worst = Math.max(worst, Math.abs(numeric - analytic[element]!) / (1 + Math.abs(numeric)))
    }
  }
  return worst
}

const indices = tensor(new Int32Array([2, 0, 2]))

const cases: Record<string, [(...inputs: Tensor[]) => Tensor, ...(readonly number[])[]]> = {
  'arithmetic with broadcasting': [
    (x, y) =>
      x
        .multiply(y)
        .add(y)
        .subtract(x.divide(y.add(3))),
    [3, 1, 4],
    [2, 1],
  ],
  'powers and roots': [(x, y) => x.add(3).divide(y.add(2)).power(y.add(1.5)).sqrt().log(), [5], [5]],
  'power of a constant': [(x) => x.add(2).power(3).add(x.add(2).power(-1)).add(x.add(2).power(2.5)), [5]],
  'transcendental functions': [
    (x) => x.sin().add(x.cos()).add(x.tanh()).add(x.erf()).add(x.expm1()).add(x.sigmoid()).add(x.add(2).log1p()),
    [6],
  ],
  'minimum and maximum': [(x, y) => x.minimum(y).multiply(x.maximum(y).exp()), [7], [7]],
  remainder: [(x, y) => x.multiply(7).remainder(y.add(2)), [5], [5]],
  where: [(x, y) => where(x.less(y), x.square(), y.exp()), [6], [6]],
  'sum, mean and variance over axes': [
    (x) =>
      x
        .square()
        .sum(1)
        .exp()
        .add(x.mean([1, 2], { keepDims: true }).squeeze(1))
        .add(x.variance(1)),
    [3, 2, 4],
  ],
  'maximum and minimum over an axis': [(x) => x.max(1).multiply(x.min(0).sum()), [3, 4]],
  product: [(x) => x.product(1), [3, 4]],
  'product with a zero': [
    (x) =>
      x
        .multiply(tensor(new Float64Array([1, 0, 1, 1])))
        .add(tensor(new Float64Array([0.5, 0, 0, 0])))
        .product(1),
    [3, 4],
  ],
  'movement of axes': [(x) => x.transpose([1, 0, 2]).reshape([2, 12]).square().sum(0), [3, 2, 4]],
  'slices with steps': [(x) => x.slice(0, -1, undefined, -2).slice(1, 1, 5, 2).exp(), [6, 6]],
  'flip and pad': [
    (x) =>
      x
        .flip(1)
        .pad(
          [
            [1, 0],
            [0, 2],
          ],
          3,
        )
        .square(),
    [2, 3],
  ],
  'parts of a tensor': [
    (x) => {
      const [a, b, c] = x.split(3, 1) as [Tensor, Tensor, Tensor]
      return a.multiply(b).add(c.exp())
    },
    [2, 6],
  ],
  concatenation: [(a, b) => concatenate([a, b.multiply(2), a], 1).square(), [2, 3], [2, 2]],
  gather: [(x) => x.gather(indices, 1).square(), [2, 3, 2]],
  'scatter-add': [(x, updates) => x.scatterAdd(indices, updates, 1).square(), [2, 3], [2, 3]],
  'scatter-set': [(x, updates) => x.scatterSet(indices, updates, 1).square(), [2, 3], [2, 3]],
  'matrix product': [(a, b) => a.matmul(b), [2, 3, 4], [4, 5]],
  'batched matrix product with transposes': [(a, b) => a.transpose().matmul(b.transpose()), [2, 4, 3], [2, 5, 4]],
  'matrix product with broadcast batches': [(a, b) => a.matmul(b), [2, 1, 3, 4], [3, 4, 2]],
  'matrix × vector': [(a, b) => a.matmul(b), [3, 4], [4]],
  softmax: [(x) => x.softmax(), [3, 5]],
  'softmax over another axis': [(x) => x.softmax(0), [3, 5]],
  'log-softmax': [(x) => x.logSoftmax(), [3, 5]],
  'layer norm': [(x, gain, bias) => layerNorm(x, gain, bias), [4, 6], [6], [6]],
  'layer norm without affine part': [(x) => layerNorm(x), [4, 6]],
  'gelu, exact': [(x) => x.gelu(), [7]],
  'gelu, tanh': [(x) => x.gelu('tanh'), [7]],
  'gelu, sigmoid': [(x) => x.gelu('sigmoid'), [7]],
  relu: [(x) => x.relu(), [7]],
  'cross-entropy': [(x) => crossEntropyLosses(x, indices), [3, 4]],
  'causal attention': [(q, k, v) => attention(q, k, v, { causal: true }), [2, 3, 4], [2, 3, 4], [2, 3, 5]],
  'attention over more keys than queries': [(q, k, v) => attention(q, k, v, { causal: true }), [2, 4], [5, 4], [5, 3]],
  'attention from a position on': [
    (q, k, v) => attention(q, k, v, { causal: true, offset: tensor(new Int32Array([1]), []) }),
    [2, 2, 3],
    [2, 5, 3],
    [2, 5, 2],
  ],
  'gradient of attention': [
    (q, k, v) =>
      grad((parts: Tensor[]) => attention(parts[0]!, parts[1]!, v!, { causal: true }).square().sum())([q!, k!])[0]!,
    [3, 2],
    [3, 2],
    [3, 2],
  ],
  'gradient of softmax': [(x) => grad((x: Tensor) => x.softmax().multiply(x).sum())(x) as Tensor, [2, 3]],
  'gradient of layer norm': [(x) => grad((x: Tensor) => layerNorm(x).square().multiply(x).sum())(x) as Tensor, [2, 4]],
  'gradient of a product of matrices': [
    (a, b) => grad((a: Tensor) => a.matmul(b).square().sum())(a) as Tensor,
    [2, 3],
    [3, 2],
  ],
  'transformer block': [
    (x, expand, contract, project, out) => {
      const [batch, time, width, heads] = [2, 3, 4, 2]
      const parts = layerNorm(x)
        .matmul(project!)
        .reshape([batch, time, 3, heads, width / heads])
        .transpose([2, 0, 3, 1, 4])
      const [query, key, value] = [0, 1, 2].map((i) => parts.select(0, i)) as [Tensor, Tensor, Tensor]
      const mixed = attention(query, key, value, { causal: true }).transpose([0, 2, 1, 3]).reshape([batch, time, width])
      const y = x.add(mixed.matmul(out!))
      return y.add(layerNorm(y).matmul(expand!).gelu('tanh').matmul(contract!))
    },
    [2, 3, 4],
    [4, 8],
    [8, 4],
    [4, 12],
    [4, 4],
  ],
}

describe.each([true, false])('gradients against finite differences, fused: %s', (fuse) => {
  it.each(Object.entries(cases))('%s', async (_, [body, ...shapes]) => {
    const runtime = await createRuntime({ fuse })
    expect(await worstError(body, shapes)).toBeLessThan(1e-6)
    await runtime.close()
  })
})

describe('gradients of trees', () => {
  it('gives zeros for what does not matter and the whole gradient for what stands twice', async () => {
    const shared = tensor([2, 3])
    const parameters = { a: shared, b: [shared, tensor([1, 1])], name: 'model', unused: tensor([5]) }
    const { value, gradients } = valueAndGrad(parameters, (p) => p.a.multiply(p.b[0]!).sum().add(p.b[1]!.sum()))
    expect(await value.item()).toBe(15)
    expect([...(await gradients.a.data())]).toEqual([4, 6])
    expect([...(await gradients.b[0]!.data())]).toEqual([4, 6])
    expect([...(await gradients.b[1]!.data())]).toEqual([1, 1])
    expect([...(await gradients.unused.data())]).toEqual([0])
  })

  it('stops at stopGradient', async () => {
    const x = tensor([3])
    expect(await (grad((x: Tensor) => x.multiply(x.stopGradient()).sum())(x) as Tensor).item()).toBe(3)
  })

  it('refuses a loss that is not one number', () => {
    expect(() => valueAndGrad(tensor([1, 2]), (x) => x.square())).toThrow(/one floating-point number, got f32\[2\]/)
  })
})
