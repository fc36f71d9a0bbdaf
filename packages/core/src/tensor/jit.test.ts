import { describe, expect, it } from 'vitest'
import { concatenate, createRuntime, jit, scope, type Tensor, TesseraError, tensor, zeros } from '../index.ts'

describe('jit', () => {
  it('compiles once for each signature', async () => {
    const double = jit((x: Tensor, factor: number) => x.multiply(factor))
    expect([...(await double(tensor([1, 2]), 2).data())]).toEqual([2, 4])
    expect([...(await double(tensor([3, 4]), 2).data())]).toEqual([6, 8])
    expect(double.compilations).toBe(1)
    expect([...(await double(tensor([3, 4, 5]), 2).data())]).toEqual([6, 8, 10])
    expect([...(await double(tensor([3, 4]), 3).data())]).toEqual([9, 12])
    expect(double.compilations).toBe(3)
  })

  it('tells functions among the arguments apart', async () => {
    const apply = jit((x: Tensor, options: { activation: (x: Tensor) => Tensor }) => options.activation(x))
    const square = { activation: (x: Tensor) => x.square() }
    expect(await apply(tensor(3), square).item()).toBe(9)
    expect(await apply(tensor(3), { activation: (x) => x.negate() }).item()).toBe(-3)
    expect(await apply(tensor(4), square).item()).toBe(16)
    expect(apply.compilations).toBe(2)
  })

  it('writes assigned tensors back and takes over the memory of what they replace', async () => {
    const runtime = await createRuntime()
    const state = { weights: zeros([1000]).realize(), steps: tensor(0).realize() }
    const step = jit((state: { weights: Tensor; steps: Tensor }, gradient: Tensor) => {
      state.weights = state.weights.subtract(gradient.multiply(0.5))
      state.steps = state.steps.add(1)
    })
    const gradient = tensor(new Float32Array(1000).fill(2)).realize()
    step(state, gradient)
    const { usedBytes } = runtime.memory()
    const before = state.weights
    for (let i = 0; i < 10; i++) step(state, gradient)
    expect(runtime.memory().usedBytes).toBe(usedBytes)
    expect((await state.weights.data())[999]).toBe(-11)
    expect(await state.steps.item()).toBe(11)
    expect(step.compilations).toBe(1)
    await expect(before.data()).rejects.toThrow(/given to its successor/)
    await runtime.close()
  })

  it('keeps the memory of a tensor that still stands elsewhere', async () => {
    const shared = tensor([1, 2]).realize()
    const state = { current: shared, initial: shared }
    const step = jit((state: { current: Tensor; initial: Tensor }) => {
      state.current = state.current.add(state.initial)
    })
    step(state)
    step(state)
    expect([...(await state.current.data())]).toEqual([3, 6])
    expect([...(await state.initial.data())]).toEqual([1, 2])
  })

  it('computes pending arguments first, and knows two handles on one value', async () => {
    const pending = zeros([3]).add(1)
    const state = { a: pending, b: pending.cast('f32') }
    expect(state.b).not.toBe(state.a)
    const step = jit((state: { a: Tensor; b: Tensor }) => {
      state.a = state.a.add(state.b)
    })
    step(state)
    step(state)
    expect([...(await state.a.data())]).toEqual([3, 3, 3])
    expect([...(await state.b.data())]).toEqual([1, 1, 1])
  })

  it('updates a value per row in place while long rows still read the old one', async () => {
    const state = { scale: tensor([[2], [3]]).realize() }
    const x = tensor(new Float32Array(2 * 5000).fill(1), [2, 5000])
    const step = jit((state: { scale: Tensor }, x: Tensor) => {
      const mean = x.mean(1, { keepDims: true })
      const y = x.add(mean).multiply(state.scale)
      state.scale = state.scale.add(mean)
      return y
    })
    const y = await step(state, x).data()
    expect([y[0], y[4999], y[5000], y[9999]]).toEqual([4, 4, 6, 6])
    expect([...(await state.scale.data())]).toEqual([3, 4])
  })

  it('swaps tensors', async () => {
    const state = { a: tensor([1]).realize(), b: tensor([2]).realize() }
    const swap = jit((state: { a: Tensor; b: Tensor }) => {
      const { a } = state
      state.a = state.b
      state.b = a
    })
    swap(state)
    expect([await state.a.item(), await state.b.item()]).toEqual([2, 1])
    swap(state)
    expect([await state.a.item(), await state.b.item()]).toEqual([1, 2])
  })

  it('creates state on the first call and returns nested results', async () => {
    const state: { moment?: Tensor } = {}
    const step = jit((state: { moment?: Tensor }, x: Tensor) => {
      state.moment = (state.moment ?? x.multiply(0)).add(x)
      return { sum: state.moment.sum(), parts: [x.add(1)], label: 'step' }
    })
    step(state, tensor([1, 2]))
    const result = step(state, tensor([1, 2]))
    expect(await result.sum.item()).toBe(6)
    expect([...(await result.parts[0]!.data())]).toEqual([2, 3])
    expect(result.label).toBe('step')
    expect(step.compilations).toBe(2)
  })

  it('reads tensors from outside as they are at each call', async () => {
    const outside = tensor([10]).realize()
    const add = jit((x: Tensor) => x.add(outside))
    expect(await add(tensor([1])).item()).toBe(11)
    expect(await add(tensor([2])).item()).toBe(12)
  })

  it('leaves the arguments alone when tracing fails', async () => {
    const state = { x: tensor([1]) }
    const fail = jit((state: { x: Tensor }) => {
      state.x = state.x.add(1)
      throw new Error('on purpose')
    })
    expect(() => fail(state)).toThrow('on purpose')
    expect(await state.x.item()).toBe(1)
  })

  it('refuses async functions, and values that are not known yet', async () => {
    expect(() => jit(async (x: Tensor) => x.add(1))(tensor([1]))).toThrow(TesseraError)
    const peek = jit((x: Tensor) => {
      x.realize()
      x.add(1).realize()
      return x
    })
    expect(() => peek(tensor([1]))).toThrow(/not known while a function is traced/)
  })

  it('tells arguments apart by class, by what they share and by added keys', async () => {
    class Sum {
      readonly x = tensor([1, 2])
      value(): Tensor {
        return this.x.sum()
      }
    }
    class Product {
      readonly x = tensor([3, 4])
      value(): Tensor {
        return this.x.square().sum()
      }
    }
    const value = jit((module: Sum | Product) => module.value())
    expect([await value(new Sum()).item(), await value(new Product()).item()]).toEqual([3, 25])

    const [a, b] = [{ x: tensor(1) }, { x: tensor(10) }]
    const total = jit((list: { x: Tensor }[]) => list.reduce((sum, { x }) => sum.add(x), tensor(0)))
    expect([await total([a, b, a]).item(), await total([a, b, b]).item()]).toEqual([12, 21])
    expect(total.compilations).toBe(2)

    const write = jit((pair: { left: { x?: Tensor }; right: { x?: Tensor } }, x: Tensor) => {
      pair.left.x = x.add(1)
      return pair.right.x ?? x
    })
    const shared = {}
    expect(await write({ left: {}, right: {} }, tensor(1)).item()).toBe(1)
    expect(await write({ left: shared, right: shared }, tensor(1)).item()).toBe(2)
  })

  it('keeps the programs of several signatures, and drops the one used longest ago', async () => {
    const double = jit((x: Tensor) => x.multiply(2), { cacheSize: 2 })
    for (const length of [1, 2, 1, 3, 1, 2]) {
      expect([...(await double(tensor(new Array(length).fill(4))).data())]).toEqual(new Array(length).fill(8))
    }
    expect(double.compilations).toBe(4)
  })

  it('serves one runtime after the other', async () => {
    const increment = jit((state: { x: Tensor }) => {
      state.x = state.x.add(1)
    })
    for (let i = 0; i < 2; i++) {
      const runtime = await createRuntime()
      const state = { x: zeros([2]).realize() }
      increment(state)
      increment(state)
      expect([...(await state.x.data())]).toEqual([2, 2])
      await runtime.close()
    }
    expect(increment.compilations).toBe(1)
  })

  it('leaves the memory of a scope’s surroundings alone when a step in it takes it over', async () => {
    const state = { x: zeros([1]).realize() }
    const step = jit((state: { x: Tensor }) => {
      state.x = state.x.add(1)
    })
    scope(() => step(state))
    expect(await state.x.item()).toBe(1)
  })

  it('reads what a tensor was when it was asked for, though the next call writes over it', async () => {
    const state = { x: zeros([1000]).realize() }
    const step = jit((state: { x: Tensor }) => {
      state.x = state.x.add(1)
    })
    const asked: Promise<number>[] = []
    for (let i = 0; i < 5; i++) {
      step(state)
      asked.push(state.x.data().then((data) => data[999]!))
    }
    expect(await Promise.all(asked)).toEqual([1, 2, 3, 4, 5])
  })

  it('loses nothing when memory is short', async () => {
    const runtime = await createRuntime()
    const state = { x: tensor([1, 2]).realize() }
    const grow = jit((state: { x: Tensor }) => {
      state.x = state.x.add(1)
      return concatenate([state.x, state.x])
    })
    const { usedBytes } = runtime.memory()
    const { allocate } = runtime.device
    Object.assign(runtime.device, {
      allocate: () => {
        throw new TesseraError('OUT_OF_MEMORY', 'no memory')
      },
    })
    expect(() => grow(state)).toThrow('no memory')
    Object.assign(runtime.device, { allocate })
    expect([...(await state.x.data())]).toEqual([1, 2])
    expect([...(await grow(state).data())]).toEqual([2, 3, 2, 3])
    expect(runtime.memory().usedBytes).toBeLessThan(usedBytes + 100)
    await runtime.close()
  })

  it('explains the program', async () => {
    const f = jit(function softmaxOfSum(x: Tensor) {
      return x.add(1).softmax()
    })
    expect(() => f.explain()).toThrow(/has not been called/)
    f(tensor([[1, 2, 3]]))
    expect(f.explain()).toMatch(/softmaxOfSum on reference .*\n1 calls: 1 × reference\/fused/)
    expect(f.explain()).not.toContain('measured')
  })

  it('explains with the measured times of the last run from debug level 2 on', async () => {
    const runtime = await createRuntime({ debug: 2, log: () => {} })
    const f = jit((x: Tensor) => x.add(1).softmax())
    await f(tensor([[1, 2, 3]])).data()
    const [header, call] = f.explain().split('\n').slice(-2)
    expect(header).toMatch(/estimated +measured +of the limit +what/)
    expect(call).toMatch(/0 +reference\/fused +[\d.]+ µs +[\d.]+ µs +\d+ % (memory|arithmetic) +row/)
    await runtime.close()
  })
})
