import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  checkpoint,
  cond,
  createRuntime,
  forLoop,
  grad,
  jit,
  jvp,
  type Runtime,
  type ScanOptions,
  scan,
  stack,
  type Tensor,
  tensor,
  vmap,
  whileLoop,
} from '../index.ts'

function numbers(shape: readonly number[], seed = 1): Tensor {
  let state = seed * 2654435761 + 1
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648 - 0.5
  }
  return tensor(Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape)
}

async function expectSame(got: Tensor, expected: Tensor): Promise<void> {
  expect(got.shape).toEqual(expected.shape)
  expect(got.dtype).toBe(expected.dtype)
  const [left, right] = [[...(await got.data())], [...(await expected.data())]]
  const worst = right.reduce<number>((most, value, i) => Math.max(most, Math.abs(left[i]! - value)), 0)
  expect(worst).toBeLessThan(1e-10)
}

interface Cell {
  w: Tensor
  u: Tensor
}
const [steps, batch, width] = [5, 2, 3]
const cell: Cell = { w: numbers([width, width], 3), u: numbers([width, width], 4) }
const xs = numbers([steps, batch, width], 5)
const h0 = numbers([batch, width], 6)

/** A recurrent network by a plain loop. */
function loop({ w, u }: Cell, h: Tensor, xs: Tensor, reverse = false): [Tensor, Tensor] {
  const outputs: Tensor[] = []
  let state = h
  for (let step = 0; step < xs.shape[0]!; step++) {
    const at = reverse ? xs.shape[0]! - 1 - step : step
    state = xs.select(0, at).matmul(w).add(state.matmul(u)).tanh()
    outputs[at] = state.multiply(2)
  }
  return [state, stack(outputs)]
}

function scanned({ w, u }: Cell, h: Tensor, xs: Tensor, options: ScanOptions = {}): [Tensor, Tensor] {
  return scan(
    (h: Tensor, x: Tensor) => {
      const next = x.matmul(w).add(h.matmul(u)).tanh()
      return [next, next.multiply(2)] as const
    },
    h,
    xs,
    options,
  )
}

const losses = {
  loop: (c: Cell, h: Tensor, xs: Tensor, reverse?: boolean) => {
    const [last, ys] = loop(c, h, xs, reverse)
    return last.square().sum().add(ys.sin().sum())
  },
  scan: (options: ScanOptions) => (c: Cell, h: Tensor, xs: Tensor) => {
    const [last, ys] = scanned(c, h, xs, options)
    return last.square().sum().add(ys.sin().sum())
  },
}

let runtime: Runtime
beforeAll(async () => {
  runtime = await createRuntime()
})
afterAll(() => runtime.close())

describe.each([true, false])('scan, steps written out: %s', (unroll) => {
  it.each([false, true])('is a loop, backwards: %s', async (reverse) => {
    const [last, ys] = scanned(cell, h0, xs, { unroll, reverse })
    const [expectedLast, expectedYs] = loop(cell, h0, xs, reverse)
    await expectSame(last, expectedLast)
    await expectSame(ys, expectedYs)
  })

  it.each([false, true])('has the gradients of the loop, backwards: %s', async (reverse) => {
    const all = { cell, h0, xs }
    const of = (loss: typeof losses.loop) => grad((p: typeof all) => loss(p.cell, p.h0, p.xs, reverse))(all)
    const [got, expected] = [of(losses.scan({ unroll, reverse })), of(losses.loop)]
    await expectSame(got.cell.w, expected.cell.w)
    await expectSame(got.cell.u, expected.cell.u)
    await expectSame(got.h0, expected.h0)
    await expectSame(got.xs, expected.xs)
  })

  it('nests with the other transforms', async () => {
    const byScan = (x: Tensor) => losses.scan({ unroll })(cell, h0, x)
    const byLoop = (x: Tensor) => losses.loop(cell, h0, x)
    const first = (f: typeof byScan) => (x: Tensor) => grad(f)(x) as Tensor
    const squared = (f: typeof byScan) => (x: Tensor) => first(f)(x).square().sum()
    await expectSame(first(squared(byScan))(xs), first(squared(byLoop))(xs))
    await expectSame(jvp(byScan, [xs], [xs.square()]).tangent, jvp(byLoop, [xs], [xs.square()]).tangent)
    await expectSame(jvp(first(byScan), [xs], [xs.square()]).tangent, jvp(first(byLoop), [xs], [xs.square()]).tangent)
    const many = numbers([3, steps, batch, width], 9)
    await expectSame(vmap(first(byScan))(many), vmap(first(byLoop))(many))
    await expectSame(first((x) => vmap(byScan)(x).sum())(many), first((x) => vmap(byLoop)(x).sum())(many))
    await expectSame(first(checkpoint(byScan))(xs), first(byLoop)(xs))
    await expectSame(jit(first(byScan))(xs), first(byLoop)(xs))
    const saved = (x: Tensor) =>
      scan(
        checkpoint((h: Tensor, x: Tensor) => [x.matmul(cell.w).add(h).tanh(), h] as const),
        h0,
        x,
        { unroll },
      )[0].sum()
    const plain = (x: Tensor) =>
      scan((h: Tensor, x: Tensor) => [x.matmul(cell.w).add(h).tanh(), h] as const, h0, x, { unroll })[0].sum()
    await expectSame(first(saved)(xs), first(plain)(xs))
  })

  it('runs inside of a scan', async () => {
    const rows = (x: Tensor) =>
      scan(
        (total: Tensor, row: Tensor) => {
          const [sum] = scan((s: Tensor, v: Tensor) => [s.add(v.sin()), []] as const, total, row, { unroll })
          return [sum, sum] as const
        },
        tensor(new Float64Array([0]), []),
        x,
        { unroll },
      )
    const x = numbers([4, 3], 11)
    await expectSame(rows(x)[0], x.sin().sum())
    await expectSame(
      grad((x: Tensor) => rows(x)[1].sum())(x) as Tensor,
      x.cos().multiply(tensor(new Float64Array([4, 3, 2, 1]), [4, 1])),
    )
  })

  it('swaps, keeps and replaces state', async () => {
    const [a, b, c] = [numbers([3], 1), numbers([3], 2), numbers([3], 3)]
    const step = ([a, b, c]: Tensor[]) => [b!, a!, a!.add(c!)]
    for (const length of [0, 1, 2, 5]) {
      const run = jit((state: Tensor[]) =>
        scan((s: Tensor[]) => [step(s), s[2]!] as const, state, [] as Tensor[], { length, unroll }),
      )
      let expected = [a, b, c]
      const seen: Tensor[] = []
      for (let i = 0; i < length; i++) {
        seen.push(expected[2]!)
        expected = step(expected)
      }
      const [last, results] = run([a, b, c]) as [Tensor[], Tensor]
      for (const [i, value] of expected.entries()) await expectSame(last[i]!, value)
      if (length > 0) await expectSame(results, stack(seen))
      else expect(results.shape).toEqual([0, 3])
    }
  })
})

describe('scan', () => {
  it('allocates nothing from step to step, and gives everything back', async () => {
    const x = numbers([1000, 4], 2).realize()
    const total = jit((x: Tensor) => scan((s: Tensor, v: Tensor) => [s.add(v), []] as const, v0(), x)[0])
    const v0 = () => numbers([4], 8)
    const first = await total(x).data()
    const before = runtime.memory()
    const again = await total(x).data()
    expect([...again]).toEqual([...first])
    // The result, and the step's number.
    expect(runtime.memory().usedBytes - before.usedBytes).toBeLessThanOrEqual(64)
    expect(total.explain()).toMatch(/loop, 1000 times\n/)
  })

  it('keeps no results that nothing uses', () => {
    const last = jit((x: Tensor) => scanned(cell, h0, x, { unroll: false })[0])
    last(xs)
    expect(last.explain()).not.toMatch(/scatter/)
  })

  it('writes short loops out and runs long ones step by step', () => {
    const run = (length: number) => {
      const f = jit((x: Tensor) => forLoop(length, (_, x) => x.sin(), x))
      f(tensor([1]))
      return f.explain()
    }
    expect(run(3)).not.toMatch(/loop/)
    expect(run(3000)).toMatch(/loop, 3000 times/)
  })

  it('says what is wrong with its arguments', () => {
    expect(() => scan((s: Tensor) => [s.sum(), []] as const, h0, [], { length: 2 })).toThrow(
      /state must keep its shapes and formats, it goes in as f64\[2, 3\] and comes out as f64\[\]/,
    )
    expect(() => scan((s: Tensor) => [s, []] as const, h0, [])).toThrow(/number of steps/)
    expect(() => scan((s: Tensor) => [s, []] as const, h0, [numbers([2]), numbers([3])])).toThrow(
      /runs 2 steps, but a sequence is f64\[3\]/,
    )
  })
})

describe('forLoop', () => {
  it('counts, with gradients', async () => {
    const power = (x: Tensor) =>
      forLoop(300, (i, y) => y.multiply(x).add(i.multiply(0).cast('f64')), tensor(new Float64Array([1]), []))
    const x = tensor(new Float64Array([1.01]), [])
    expect(await power(x).item()).toBeCloseTo(1.01 ** 300, 8)
    expect(await (grad(power)(x) as Tensor).item()).toBeCloseTo(300 * 1.01 ** 299, 6)
  })
})

describe('whileLoop', () => {
  const collatz = (n: Tensor) =>
    whileLoop(
      ({ n }: { n: Tensor; count: Tensor }) => n.greater(1),
      ({ n, count }) => ({
        n: cond(
          n.and(1).equal(0),
          (n: Tensor) => n.divideTruncated(2),
          (n: Tensor) => n.multiply(3).add(1),
          n,
        ),
        count: count.add(1),
      }),
      { n, count: tensor(new Int32Array([0]), []) },
    ).count

  it('runs as often as its data say', async () => {
    const counts = await Promise.all([1, 6, 27].map((n) => collatz(tensor(new Int32Array([n]), [])).item()))
    expect(counts).toEqual([0, 8, 111])
    expect(await jit(collatz)(tensor(new Int32Array([7]), [])).item()).toBe(16)
  })

  it('batches', async () => {
    expect([...(await vmap(collatz)(tensor(new Int32Array([1, 6, 27, 7]))).data())]).toEqual([0, 8, 111, 16])
  })

  it('has tangents, and refuses gradients', async () => {
    const growth = (x: Tensor) =>
      whileLoop(
        (y: Tensor) => y.less(100),
        (y) => y.multiply(x),
        x,
      )
    const x = tensor(new Float64Array([3]), [])
    expect(await jvp(growth, [x], [tensor(new Float64Array([1]), [])]).tangent.item()).toBeCloseTo(5 * 3 ** 4, 8)
    expect(() => grad(growth)(x)).toThrow(/whileLoop: has no gradient/)
    expect(() =>
      whileLoop(
        (y: Tensor) => y,
        (y) => y,
        x,
      ),
    ).toThrow(/one bool of shape \[\], got f64\[\]/)
  })
})

describe.each(['small', 'large'] as const)('cond on %s tensors', (kind) => {
  const size = kind === 'small' ? 3 : 20_000
  const x = numbers([size], 7)
  const choose = (p: Tensor, x: Tensor) =>
    cond(
      p,
      (x: Tensor) => x.sin(),
      (x: Tensor) => x.square(),
      x,
    )
  const yes = tensor([true], [])
  const no = tensor([false], [])

  it('runs one of two functions', async () => {
    const f = jit(choose)
    await expectSame(f(yes, x), x.sin())
    await expectSame(f(no, x), x.square())
    expect(f.compilations).toBe(1)
    expect(/one of two functions/.test(f.explain())).toBe(kind === 'large')
  })

  it('has gradients and tangents of every order', async () => {
    for (const [p, first, second] of [
      [yes, x.cos(), x.sin().negate()],
      [no, x.multiply(2), x.multiply(0).add(2)],
    ] as const) {
      const gradient = (x: Tensor) => grad((x: Tensor) => choose(p, x).sum())(x) as Tensor
      await expectSame(gradient(x), first)
      await expectSame(grad((x: Tensor) => gradient(x).sum())(x) as Tensor, second)
      await expectSame(jvp((x) => choose(p, x), [x], [x]).tangent, first.multiply(x))
    }
  })

  it('batches over operands, predicates and both', async () => {
    const two = stack([x, x.add(1)])
    await expectSame(vmap(choose, { inAxes: [null, 0] })(yes, two), two.sin())
    await expectSame(vmap(choose)(tensor([true, false]), two), stack([x.sin(), x.add(1).square()]))
    await expectSame(vmap(choose, { inAxes: [0, null] })(tensor([true, false]), x), stack([x.sin(), x.square()]))
  })
})

it('cond refuses results that differ', () => {
  expect(() =>
    cond(
      tensor([true], []),
      () => tensor([1]),
      () => tensor([1, 2]),
    ),
  ).toThrow(/same shapes and formats, got f32\[1\] and f32\[2\]/)
})

describe('records whose properties come out in another order', () => {
  const initial = { a: tensor(1), b: tensor(10) }
  const step = ({ a, b }: typeof initial) => ({ b: b.multiply(2), a: a.add(1) })

  it('keep their names in scan, forLoop and whileLoop', async () => {
    const [scanned] = scan((state: typeof initial, x: Tensor) => [step(state), x] as const, initial, tensor([0, 0, 0]))
    const looped = forLoop(3, (_, state: typeof initial) => step(state), initial)
    const repeated = whileLoop(({ a }) => a.less(4), step, initial)
    for (const { a, b } of [scanned, looped, repeated]) expect([await a.item(), await b.item()]).toEqual([4, 80])
  })

  it('keep them in both branches of cond', async () => {
    for (const [x, wanted] of [
      [1, [2, 20]],
      [-1, [-1, 10]],
    ] as const) {
      const { a, b } = cond(
        tensor(x).greater(0),
        (t: Tensor) => ({ a: t.multiply(2), b: t.multiply(20) }),
        (t: Tensor) => ({ b: t.multiply(-10), a: t }),
        tensor(x),
      )
      expect([await a.item(), await b.item()]).toEqual(wanted)
    }
  })
})
