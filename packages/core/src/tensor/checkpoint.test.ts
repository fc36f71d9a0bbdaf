import { describe, expect, it } from 'vitest'
import {
  checkpoint,
  createRuntime,
  dropout,
  grad,
  jit,
  jvp,
  layerNorm,
  randomKey,
  type Tensor,
  tensor,
  valueAndGrad,
  vmap,
} from '../index.ts'

function numbers(shape: readonly number[], seed = 1): Tensor {
  let state = seed * 2654435761 + 1
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648 - 0.5
  }
  return tensor(Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape)
}

interface Layer {
  expand: Tensor
  contract: Tensor
}
const width = 16
const layers = (count: number): Layer[] =>
  Array.from({ length: count }, (_, i) => ({
    expand: numbers([width, 4 * width], 2 * i + 1),
    contract: numbers([4 * width, width], 2 * i + 2),
  }))

function block(x: Tensor, { expand, contract }: Layer, key: Tensor): Tensor {
  return x.add(dropout(layerNorm(x).matmul(expand).gelu('tanh'), 0.25, key).matmul(contract))
}

/** Loss of a deep network, with its blocks as they are or under `checkpoint`. */
function deep(apply: typeof block, model: Layer[], x: Tensor, key: Tensor): Tensor {
  return model
    .reduce((hidden, layer) => apply(hidden, layer, key), x)
    .square()
    .mean()
}

/** Bytes of temporaries in the plan of a jit function's last program. */
function plannedBytes(explanation: string): number {
  return Number(/at most ([\d.]+) KiB are in use/.exec(explanation)![1]) * 1024
}

describe.each([true, false])('checkpoint, fused: %s', (fuse) => {
  it('gives the same values and gradients from less memory', async () => {
    const runtime = await createRuntime({ fuse })
    const [model, x, key] = [layers(12), numbers([64, width], 40), randomKey(5)]
    const step = (apply: typeof block) =>
      jit((model: Layer[], x: Tensor, key: Tensor) => valueAndGrad(model, (m) => deep(apply, m, x, key)))
    const [plain, checkpointed] = [step(block), step(checkpoint(block))]
    const [expected, got] = [plain(model, x, key), checkpointed(model, x, key)]
    expect(await got.value.item()).toBe(await expected.value.item())
    for (const [i, layer] of expected.gradients.entries())
      expect([...(await got.gradients[i]!.expand.data())]).toEqual([...(await layer.expand.data())])
    const [all, few] = [plannedBytes(plain.explain()), plannedBytes(checkpointed.explain())]
    // 12 layers keep x [64, 16] each instead of that and [64, 64] several times.
    expect(few).toBeLessThan(0.4 * all)
    await runtime.close()
  })
})

describe('checkpoint', () => {
  const f = (x: Tensor) => x.exp().sin().multiply(x)

  it('captures what its function sees from outside', async () => {
    const [x, w] = [numbers([3]), numbers([3], 2)]
    const loss = (wrap: typeof checkpoint) => (w: Tensor) => wrap((x: Tensor) => x.multiply(w).exp())(x).sum()
    const plain = grad(loss((body) => body))(w) as Tensor
    const saved = grad(loss(checkpoint))(w) as Tensor
    expect([...(await saved.data())]).toEqual([...(await plain.data())])
  })

  it('nests with itself and with every other transform', async () => {
    const x = numbers([3])
    const c = checkpoint((x: Tensor) => checkpoint(f)(f(x)))
    const plain = (x: Tensor) => f(f(x))
    const same = async (a: Tensor, b: Tensor) => {
      const [left, right] = [await a.data(), await b.data()]
      for (const [i, value] of left.entries()) expect(value).toBeCloseTo(right[i]!, 12)
    }
    const first = (g: typeof f) => (x: Tensor) => grad((x: Tensor) => g(x).sum())(x) as Tensor
    await same(first(c)(x), first(plain)(x))
    await same(first(first(c))(x), first(first(plain))(x))
    await same(first(checkpoint(first(c)))(x), first(first(plain))(x))
    await same(vmap(first(c))(x), first(plain)(x))
    await same(first(vmap(c))(x), first(plain)(x))
    await same(jvp(first(c), [x], [x]).tangent, jvp(first(plain), [x], [x]).tangent)
    await same(
      first((x) => jvp(c, [x], [x.square()]).tangent)(x),
      first((x) => jvp(plain, [x], [x.square()]).tangent)(x),
    )
    await same(checkpoint(jit(f))(x), f(x))
  })

  it('takes and gives trees', async () => {
    const pair = checkpoint(({ a, b }: { a: Tensor; b: Tensor[] }, factor: number) => ({
      sum: a.add(b[0]!).multiply(factor),
      a,
    }))
    const { sum, a } = pair({ a: tensor([1]), b: [tensor([2])] }, 3)
    expect([await sum.item(), await a.item()]).toEqual([9, 1])
  })
})
