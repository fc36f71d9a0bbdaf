import { describe, expect, it } from 'vitest'
import { outputOf } from '../graph/build.ts'
import {
  applyOp,
  type Backend,
  cond,
  createNode,
  createRuntime,
  type Device,
  defineOp,
  grad,
  jit,
  type OpDefinition,
  type Plugin,
  referenceBackend,
  referenceKernels,
  type Tensor,
  tensor,
  vmap,
  whileLoop,
} from '../index.ts'

declare module '../graph/operations.ts' {
  interface OpAttributes {
    sortedOnHost: Record<never, never>
    failsOnHost: { readonly how: 'throws' | 'wrong length' }
  }
}

/** Sorts rows on the host, and gives where each element came from. */
const sorted: OpDefinition<'sortedOnHost'> = {
  op: 'sortedOnHost',
  shape: ([x]) => [x!, { shape: x!.shape, dtype: 'i32' }],
  host: ([x]) => {
    const length = x!.shape.at(-1) ?? 1
    const values = x!.data.slice()
    const order = new Int32Array(x!.data.length)
    for (let start = 0; start < values.length; start += length) {
      const row = Array.from({ length }, (_, i) => i).sort((a, b) => x!.data[start + a]! - x!.data[start + b]!)
      row.forEach((from, to) => {
        values[start + to] = x!.data[start + from]!
        order[start + to] = from
      })
    }
    return [values, order]
  },
  batch: ({ inputs, attributes }) => {
    const node = createNode(sorted, inputs, attributes)
    return [0, 1].map((index) => outputOf(node, index))
  },
}

const failing: OpDefinition<'failsOnHost'> = {
  op: 'failsOnHost',
  shape: ([x]) => [x!],
  host: ([x], { how }) => {
    if (how === 'throws') throw new Error('singular')
    return [x!.data.slice(1)]
  },
}

/** The reference backend without reads at once: as a device that computes on its own. */
const waiting: Backend<'reference'> = {
  name: 'reference',
  open: () => {
    const device = referenceBackend.open() as Device<'reference'>
    return new Proxy(device, {
      get: (target, key) => {
        if (key === 'readNow') return undefined
        const value = Reflect.get(target, key) as unknown
        if (key === 'read') {
          return async (...args: Parameters<Device['read']>) => {
            await new Promise((resolve) => setTimeout(resolve, 1))
            return target.read(...args)
          }
        }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  },
}
const plugin = (backend: Backend<'reference'>): Plugin => ({
  name: 'device',
  apiVersion: 1,
  backends: [backend],
  kernels: referenceKernels,
})

describe.each([
  ['reads at once', referenceBackend],
  ['has to be waited for', waiting],
] as const)('steps on a device that %s', (_, backend) => {
  it('run host ops between programs', async () => {
    const runtime = await createRuntime({ use: [plugin(backend)] })
    const sort = (x: Tensor) => applyOp(sorted, [x.multiply(2)], {}) as [Tensor, Tensor]
    const f = jit((x: Tensor) => {
      const [values, order] = sort(x)
      return { values: values.add(1), order, again: sort(values)[1] }
    })
    const { values, order, again } = f(
      tensor([
        [3, 1, 2],
        [0, 5, -1],
      ]),
    )
    expect([...(await values.data())]).toEqual([3, 5, 7, -1, 1, 11])
    expect([...(await order.data())]).toEqual([1, 2, 0, 2, 0, 1])
    expect([...(await again.data())]).toEqual([0, 1, 2, 0, 1, 2])
    expect(f.explain()).toMatch(/sortedOnHost on the host, f32\[2, 3\], i32\[2, 3\]/)
    const batched = vmap((x: Tensor) => sort(x)[0])(
      tensor([
        [2, 1],
        [3, 4],
      ]),
    )
    expect([...(await batched.data())]).toEqual([2, 4, 6, 8])
    await runtime.close()
  })

  it('keep the order of what is asked for', async () => {
    const runtime = await createRuntime({ use: [plugin(backend)] })
    const grow = jit((state: { x: Tensor }) => {
      state.x = whileLoop(
        (x: Tensor) => x.less(100),
        (x) => x.multiply(3),
        state.x,
      )
    })
    const half = jit((state: { x: Tensor }) => {
      state.x = state.x.divide(2)
    })
    const state = { x: tensor(7) }
    for (let i = 0; i < 3; i++) {
      grow(state)
      half(state)
    }
    // 7 → 189 → 94.5 → 283.5 → 141.75 → 141.75 → 70.875
    expect(await state.x.item()).toBe(70.875)
    grow(state)
    await runtime.synchronize()
    const before = runtime.memory().usedBytes
    for (let i = 0; i < 3; i++) {
      half(state)
      grow(state)
    }
    await runtime.synchronize()
    expect(runtime.memory().usedBytes).toBe(before)
    await runtime.close()
  })

  it('run the branch that is chosen, after what it reads', async () => {
    const runtime = await createRuntime({ use: [plugin(backend)] })
    const f = jit((x: Tensor) => {
      const [values] = applyOp(sorted, [x], {}) as [Tensor]
      const isLarge = values.slice(0, -1).reshape([]).greater(10)
      return cond(
        isLarge,
        (v: Tensor) => applyOp(sorted, [v.negate()], {})[0]!,
        (v: Tensor) => v,
        values,
      )
    })
    expect([...(await f(tensor([1, 3, 2])).data())]).toEqual([1, 2, 3])
    expect([...(await f(tensor([1, 30, 2])).data())]).toEqual([-30, -2, -1])
    await runtime.close()
  })

  it('report what fails where it is read or asked for', async () => {
    const runtime = await createRuntime({ use: [plugin(backend)] })
    const fail = async (how: 'throws' | 'wrong length') => applyOp(failing, [tensor([1, 2]).exp()], { how })[0]!.data()
    await expect(fail('throws')).rejects.toThrow('singular')
    await expect(fail('wrong length')).rejects.toThrow(
      /failsOnHost: host gave Float32Array of 1 for output 0, f32\[2\]. Give one Float32Array for each output/,
    )
    // And go on.
    expect(await tensor([1, 2]).sum().item()).toBe(3)
    await runtime.close()
  })
})

it('an op on the host needs a gradient of its own', async () => {
  expect(() => grad((x: Tensor) => applyOp(sorted, [x], {})[0]!.sum())(tensor([1, 2]))).toThrow(
    /sortedOnHost: the op has neither a gradient/,
  )
  const defined = defineOp({
    op: 'sortedOnHost',
    lower: ([x]) => [x!, x!.cast('i32')],
    vjp: ({ gradients: [gradient] }) => [gradient],
  })
  expect([
    ...(await (grad((x: Tensor) => applyOp(defined, [x], {})[0]!.sum())(tensor([1, 2])) as Tensor).data()),
  ]).toEqual([1, 1])
})
