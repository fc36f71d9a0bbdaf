import { describe, expect, it } from 'vitest'
import {
  applyOp,
  attention,
  concatenate,
  crossEntropyLosses,
  defineOp,
  grad,
  hessianVectorProduct,
  jvp,
  layerNorm,
  type Tensor,
  tensor,
  vjp,
  vmap,
  where,
} from '../index.ts'

declare module '../graph/operations.ts' {
  interface OpAttributes {
    straightThrough: Record<never, never>
  }
}

function numbers(shape: readonly number[], seed = 1): Tensor {
  let state = seed * 2654435761 + 1
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648 - 0.5
  }
  return tensor(Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape)
}

const places = tensor(new Int32Array([2, 0, 2, 7]))
const cases: Record<string, [(...inputs: Tensor[]) => Tensor, ...(readonly number[])[]]> = {
  arithmetic: [
    (x, y) =>
      x
        .multiply(y)
        .add(y)
        .subtract(x.divide(y.add(3))),
    [3, 1, 4],
    [2, 1],
  ],
  'one value twice': [(x) => x.multiply(x).add(x), [4]],
  powers: [(x, y) => x.add(2).power(y.add(2)), [5], [5]],
  functions: [(x) => x.sin().add(x.tanh().exp()).add(x.erf()).add(x.add(2).log().sqrt()), [6]],
  'minimum, where and casts': [(x, y) => where(x.less(y), x.minimum(y), y).cast('f64'), [6], [6]],
  reductions: [(x) => x.max(0).multiply(x.product(1).sum()).add(x.variance(0)), [3, 4]],
  movement: [
    (x) =>
      x
        .transpose()
        .flip(0)
        .slice(1, 0, 3, 2)
        .pad([
          [1, 1],
          [0, 2],
        ])
        .reshape([-1]),
    [3, 4],
  ],
  concatenation: [(x, y) => concatenate([x, y, x.square()], 1), [2, 3], [2, 1]],
  'matrix product': [(x, y) => x.matmul(y).matmul(x), [3, 4], [4, 3]],
  gather: [(x) => x.gather(places, 1), [2, 3]],
  scatter: [(x, u) => x.scatterAdd(places, u, 1).add(x.scatterSet(places, u, 1)), [2, 3], [2, 4]],
  'softmax and its relatives': [(x) => x.softmax().add(x.logSoftmax()).gelu(), [3, 4]],
  'layer norm': [(x, g, b) => layerNorm(x, g, b), [3, 4], [4], [4]],
  'cross-entropy': [(x) => crossEntropyLosses(x, tensor(new Int32Array([1, 0, 3]))), [3, 4]],
  attention: [(q, k, v) => attention(q, k, v, { causal: true }), [2, 3, 2], [2, 3, 2], [2, 3, 4]],
  'a gradient': [(x) => grad((x: Tensor) => x.softmax().multiply(x).sum())(x) as Tensor, [4]],
  'a batched function': [(x, w) => vmap((row: Tensor) => row.matmul(w).tanh())(x), [3, 4], [4, 2]],
}

describe('forward mode against finite differences', () => {
  it.each(Object.entries(cases))('%s', async (_, [body, ...shapes]) => {
    const inputs = shapes.map((shape, i) => numbers(shape, i + 1))
    const directions = shapes.map((shape, i) => numbers(shape, i + 11))
    const { value, tangent } = jvp(body, inputs, directions)
    expect(tangent.shape).toEqual(value.shape)
    const at = (step: number) => body(...inputs.map((input, i) => input.add(directions[i]!.multiply(step))))
    const numeric = await at(1e-5).subtract(at(-1e-5)).divide(2e-5).data()
    const analytic = await tangent.data()
    for (let i = 0; i < numeric.length; i++)
      expect(Math.abs(analytic[i]! - numeric[i]!)).toBeLessThan(1e-6 * (1 + Math.abs(numeric[i]!)))
    // ⟨u, J v⟩ = ⟨Jᵀ u, v⟩
    const weights = numbers(value.shape, 23)
    const pulled = vjp(body, ...inputs).pullback(weights)
    const left = await tangent.multiply(weights).sum().item()
    const terms = await Promise.all(pulled.map((p, i) => p.multiply(directions[i]!).sum().item()))
    expect(left).toBeCloseTo(
      terms.reduce((a, b) => a + b, 0),
      10,
    )
  })
})

describe('forward mode', () => {
  it('keeps the inputs apart when they are one tensor', async () => {
    const x = tensor([3])
    const { tangent } = jvp((a, b) => a.multiply(a).multiply(b), [x, x], [tensor([1]), tensor([0])])
    expect(await tangent.item()).toBe(18)
    const [toA, toB] = vjp((a, b) => a.multiply(a).multiply(b), x, x).pullback(tensor([1]))
    expect([await toA!.item(), await toB!.item()]).toEqual([18, 9])
  })

  it('does not confuse its direction with one from outside', async () => {
    const inner = (x: Tensor) => jvp((y) => y.multiply(x), [x], [tensor([1])]).tangent
    expect(await jvp((x) => x.multiply(inner(x)), [tensor([3])], [tensor([1])]).tangent.item()).toBe(6)
    const gradient = grad((x: Tensor) => (grad((y: Tensor) => y.multiply(x).sum())(x) as Tensor).multiply(x).sum())
    expect(await (gradient(tensor([3])) as Tensor).item()).toBe(6)
  })

  it('stops at stopGradient and gives zeros where nothing moves', async () => {
    const { tangent } = jvp(
      (x) => ({ a: x.multiply(x.stopGradient()), b: tensor([1]), c: x.floor() }),
      [tensor([3])],
      [tensor([1])],
    )
    expect([await tangent.a.item(), await tangent.b.item(), await tangent.c.item()]).toEqual([3, 0, 0])
  })

  it('follows the gradient that an op defines', async () => {
    const straightThrough = defineOp({
      op: 'straightThrough',
      lower: ([x]) => [x!.round()],
      vjp: ({ gradients: [gradient] }) => [gradient],
    })
    const rounded = (x: Tensor) => applyOp(straightThrough, [x], {})[0]!
    const x = tensor([0.4, 1.6])
    expect([...(await jvp(rounded, [x], [tensor([2, 3])]).tangent.data())]).toEqual([2, 3])
    expect([...(await (grad((x: Tensor) => rounded(x).sum())(x) as Tensor).data())]).toEqual([1, 1])
    expect([...(await vmap(rounded)(x).data())]).toEqual([0, 2])
  })

  it('refuses directions of another shape', () => {
    expect(() => jvp((x) => x, [tensor([1, 2])], [tensor([1])])).toThrow(
      /shapes and formats of the inputs, f32\[2\], got f32\[1\]/,
    )
  })
})

describe('hessianVectorProduct', () => {
  it('is the Hessian times a vector', async () => {
    const [x, v] = [numbers([4]), numbers([4], 9)]
    const loss = (x: Tensor) => x.softmax().multiply(x.exp()).sum()
    const product = await hessianVectorProduct(loss, x, v).data()
    const gradient = (at: Tensor) => grad(loss)(at) as Tensor
    const numeric = await gradient(x.add(v.multiply(1e-5)))
      .subtract(gradient(x.subtract(v.multiply(1e-5))))
      .divide(2e-5)
      .data()
    for (let i = 0; i < 4; i++) expect(product[i]).toBeCloseTo(numeric[i]!, 8)
  })

  it('takes trees', async () => {
    const parameters = { a: tensor([2]), b: [tensor([3])] }
    const product = hessianVectorProduct(({ a, b }) => a.square().multiply(b[0]!).sum(), parameters, {
      a: tensor([1]),
      b: [tensor([10])],
    })
    expect([await product.a.item(), await product.b[0]!.item()]).toEqual([46, 4])
  })
})
