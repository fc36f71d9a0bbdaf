import { describe, expect, it } from 'vitest'
import type { FunctionBuilder, Label, MemoryLimits, ParameterLocals, Parameters, ResultType } from './index.ts'
import {
  atomic,
  call,
  callIndirect,
  f32,
  f32x4,
  f64,
  i8x16,
  i16x8,
  i32,
  i32x4,
  i64,
  ModuleBuilder,
  memoryGrow,
  memorySize,
  printModule,
  select,
  tee,
  v128,
} from './index.ts'

type Exports = Record<string, (...values: (number | bigint)[]) => number | bigint | undefined>

const memory = new WebAssembly.Memory({ initial: 1 })
const ints = new Int32Array(memory.buffer)
const floats = new Float32Array(memory.buffer)
const bytes = new Uint8Array(memory.buffer)

function newModule(limits: MemoryLimits = { minimum: 1 }): ModuleBuilder {
  const module = new ModuleBuilder()
  module.importMemory('env', 'memory', limits)
  return module
}

function instantiate(module: ModuleBuilder, imports: WebAssembly.ModuleImports = {}): Exports {
  const compiled = new WebAssembly.Module(module.toBytes())
  return new WebAssembly.Instance(compiled, { env: { memory, ...imports } }).exports as Exports
}

/** Compiles one function and returns it. */
function compile<const P extends Parameters, R extends ResultType>(
  parameters: P,
  result: R,
  body: (fn: FunctionBuilder<P, R>, parameters: ParameterLocals<P>) => void,
) {
  const module = newModule()
  module.export(module.function('tested', parameters, result, body))
  return instantiate(module).tested!
}

describe('scalars', () => {
  it('computes with every scalar type', () => {
    const run = compile({ a: 'i32', b: 'f32', c: 'f64', d: 'i64' }, 'f64', (fn, { a, b, c, d }) => {
      const sum = f64.add(f64.convertI32S(i32.mul(a, -3)), f64.promoteF32(f32.sqrt(b)))
      fn.return(f64.add(f64.add(sum, c), f64.convertI64S(i64.shl(d, 1n))))
    })
    expect(run(5, 16, 0.25, 1n << 40n)).toBe(-15 + 4 + 0.25 + 2 ** 41)
  })

  it('encodes extreme constants', () => {
    const run = compile({}, 'i64', (fn) => {
      fn.store('i32', 0, -0x80000000)
      fn.store('i32', 0, 0xffffffff, 4)
      fn.store('f32', 0, Number.NEGATIVE_INFINITY, 8)
      fn.store('f64', 0, Math.PI, 16)
      fn.return(-(1n << 63n))
    })
    expect(run()).toBe(-(1n << 63n))
    expect([ints[0], ints[1], floats[2], new Float64Array(memory.buffer)[2]]).toEqual([
      -0x80000000,
      -1,
      Number.NEGATIVE_INFINITY,
      Math.PI,
    ])
  })

  it('stores bytes and halves, selects and sets with tee', () => {
    const run = compile({ a: 'i32' }, 'i32', (fn, { a }) => {
      fn.store8(0, a)
      fn.store16(0, a, 2)
      const copy = fn.local('i32', 'copy')
      const larger = fn.local('i32', 'larger', i32.gtS(tee(copy, i32.add(a, 1)), 0x12346))
      fn.return(select(larger, copy, i32.load16U(0, 2)))
    })
    expect(run(0x12345)).toBe(0x2345)
    expect(bytes[0]).toBe(0x45)
    expect(run(0x12346)).toBe(0x12347)
  })
})

describe('control', () => {
  it('counts with forRange, while and repeat, none of which runs for an empty range', () => {
    const run = compile({ n: 'i32' }, 'i32', (fn, { n }) => {
      const sum = fn.local('i32', 'sum', 0)
      fn.forRange(0, n, 3, (i) => fn.set(sum, i32.add(sum, i)))
      fn.repeat(n, () => fn.increment(sum, 1000))
      const rest = fn.local('i32', 'rest', n)
      fn.while(i32.gtS(rest, 0), (leave) => {
        fn.increment(sum, 1_000_000)
        fn.branchIf(leave, i32.eq(rest, 2))
        fn.increment(rest, -1)
      })
      fn.return(sum)
    })
    expect(run(0)).toBe(0)
    expect(run(-5)).toBe(0)
    expect(run(1)).toBe(1_001_000)
    expect(run(10)).toBe(18 + 10_000 + 9_000_000)
  })

  it('branches out of nested blocks and continues loops', () => {
    const run = compile({ n: 'i32' }, 'i32', (fn, { n }) => {
      const count = fn.local('i32', 'count', 0)
      fn.block((leave) => {
        fn.loop((next) => {
          fn.increment(count, 1)
          fn.if(
            i32.ltS(count, n),
            () => fn.branch(next),
            () => fn.branch(leave),
          )
          fn.unreachable()
        })
      })
      fn.return(count)
    })
    expect(run(7)).toBe(7)
  })

  it('reuses the slots of locals whose scope has ended', () => {
    const module = newModule()
    module.function('scopes', {}, 'void', (fn) => {
      for (let i = 0; i < 5; i++) {
        fn.scope(() => {
          fn.local('i32', 'a', i)
          fn.local('v128', 'b', i32x4.splat(i))
        })
      }
    })
    expect(module.definitions()[0]?.code.localTypes).toEqual(['i32', 'v128'])
  })

  it('inserts code at an earlier place without disturbing locals', () => {
    const run = compile({ n: 'i32' }, 'i32', (fn, { n }) => {
      fn.scope(() => fn.local('i32', 'released', 5))
      const start = fn.insertionPoint()
      const sum = fn.local('i32', 'sum', 0)
      fn.repeat(n, () => {
        const late = fn.insertAt(start, () => fn.local('i32', 'late', 100))
        fn.set(sum, i32.add(sum, late))
      })
      fn.return(sum)
    })
    expect(run(3)).toBe(300)
  })
})

describe('functions', () => {
  it('imports, calls, recurses and calls through a table', () => {
    const module = newModule()
    const twice = module.importFunction('env', 'twice', { x: 'i32' }, 'i32')
    const factorial = module.declare('factorial', { n: 'i32' }, 'i32')
    module.define(factorial, (fn, { n }) => {
      fn.if(i32.leS(n, 1), () => fn.return(1))
      fn.return(i32.mul(n, call(factorial, { n: i32.sub(n, 1) })))
    })
    const counter = module.global('i32', 40)
    const negate = module.function('negate', { n: 'i32' }, 'i32', (fn, { n }) => {
      fn.setGlobal(counter, i32.add(counter, 1))
      fn.return(i32.sub(0, n))
    })
    module.table([factorial, negate])
    const signature = module.signature({ n: 'i32' }, 'i32')
    const run = module.function('run', { which: 'i32', n: 'i32' }, 'i32', (fn, { which, n }) => {
      fn.call(negate, { n: 0 })
      fn.return(i32.add(call(twice, { x: callIndirect(signature, which, { n }) }), counter))
    })
    module.export(run)
    const exports = instantiate(module, { twice: (x: number) => 2 * x })
    expect(exports.run?.(0, 5)).toBe(240 + 41)
    expect(exports.run?.(1, 5)).toBe(-10 + 43)
  })

  it('keeps one entry for equal types', () => {
    const module = newModule()
    expect(module.signature({ a: 'i32' }, 'f32').typeIndex).toBe(module.signature({ b: 'i32' }, 'f32').typeIndex)
    expect(module.signature({ a: 'i64' }, 'f32').typeIndex).toBe(1)
  })
})

describe('vectors', () => {
  it('loads, shuffles, computes and stores lanes', () => {
    floats.set([1, 2, 3, 4, 5, 6, 7, 8])
    compile({}, 'void', (fn) => {
      const a = fn.local('v128', 'a', v128.load(0))
      const b = fn.local('v128', 'b', v128.load(0, 16))
      fn.store('v128', 64, f32x4.mul(a, b))
      fn.store('v128', 80, v128.shuffle32(a, b, [3, 4, 0, 7]))
      fn.store('v128', 96, v128.load32Lane(0, f32x4.splat(9), 2, 4))
      fn.storeLane(64, 112, b, 1)
      fn.store('v128', 128, i8x16.shuffle(a, b, [16, 17, 18, 19, 4, 5, 6, 7, 0, 1, 2, 3, 28, 29, 30, 31]))
      fn.store('f32', 144, f32x4.extractLane(f32x4.replaceLane(a, 3, 0.5), 3))
      fn.store('v128', 160, i32x4.dotI16x8S(i16x8.splat(3), i16x8.splat(-2)))
    })()
    expect([...floats.subarray(16, 37)]).toEqual([5, 12, 21, 32, 4, 5, 1, 8, 9, 9, 2, 9, 7, 8, 0, 0, 5, 2, 1, 8, 0.5])
    expect([...ints.subarray(40, 44)]).toEqual([-12, -12, -12, -12])
  })

  it('has constants', () => {
    compile({}, 'void', (fn) => fn.store('v128', 0, v128.const(Float32Array.of(1, -2, 3.5, 0))))()
    expect([...floats.subarray(0, 4)]).toEqual([1, -2, 3.5, 0])
  })
})

describe('memory', () => {
  it('copies, fills, grows and asks for its size', () => {
    const own = new WebAssembly.Memory({ initial: 1, maximum: 3 })
    const module = newModule()
    const run = module.function('run', {}, 'i32', (fn) => {
      fn.memoryFill(100, 7, 10)
      fn.memoryCopy(105, 98, 6)
      fn.return(i32.add(i32.mul(memoryGrow(2), 10), memorySize()))
    })
    module.export(run)
    const compiled = new WebAssembly.Module(module.toBytes())
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory: own } })
    expect((exports as Exports).run?.()).toBe(13)
    expect([...new Uint8Array(own.buffer, 98, 14)]).toEqual([0, 0, 7, 7, 7, 7, 7, 0, 0, 7, 7, 7, 7, 0])
  })

  it('has atomics on shared memory', () => {
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    const module = newModule({ minimum: 1, maximum: 2, shared: true })
    const run = module.function('run', {}, 'i32', (fn) => {
      fn.atomicStore(0, 5)
      fn.run(atomic.add(0, 2))
      fn.run(atomic.compareExchange(0, 7, 11))
      fn.run(atomic.exchange(4, atomic.load(0)))
      fn.fence()
      fn.run(atomic.notify(0))
      // The word differs from what is expected, so the wait ends at once with 1.
      fn.return(i32.add(i32.mul(atomic.wait(0, 99), 100), atomic.sub(4, 1)))
    })
    module.export(run)
    const compiled = new WebAssembly.Module(module.toBytes())
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory: shared } })
    expect((exports as Exports).run?.()).toBe(111)
    expect(new Int32Array(shared.buffer)[1]).toBe(10)
  })
})

describe('mistakes', () => {
  const build = (body: (fn: FunctionBuilder<{ a: 'i32' }, 'i32'>) => void) => () =>
    newModule().function('broken', { a: 'i32' }, 'i32', body)

  it('names the function and the instruction', () => {
    expect(build((fn) => fn.return(i32.add(fn.parameters.a, 0.5)))).toThrow(/function broken: i32\.add: 0\.5 is not/)
    expect(build((fn) => fn.return(i32.load(0, -4)))).toThrow(/function broken: i32\.load: the constant offset .* -4/)
    expect(build((fn) => fn.run(f32x4.extractLane(f32x4.splat(0), 4)))).toThrow(/f32x4\.extract_lane: lane .* 4/)
    // @ts-expect-error a vector is no address
    expect(build((fn) => fn.return(i32.load(f32x4.splat(0))))).toThrow(
      /function broken: i32\.load: expected i32, got v128/,
    )
  })

  it('refuses locals of other functions and of ended scopes, and labels that are not open', () => {
    let foreign: ReturnType<FunctionBuilder['local']> | undefined
    build((fn) => {
      foreign = fn.local('i32', 'foreign')
      fn.return(0)
    })()
    expect(build((fn) => fn.run(foreign!))).toThrow(/'foreign' belongs to another function/)
    expect(
      build((fn) => {
        fn.scope(() => {
          foreign = fn.local('i32', 'inner', 0)
        })
        fn.run(foreign!)
      }),
    ).toThrow(/'inner' is used after the end of its scope/)
    expect(
      build((fn) => {
        let label: Label | undefined
        fn.block((leave) => {
          label = leave
        })
        fn.branch(label!)
      }),
    ).toThrow(/br: the label is not an enclosing block/)
  })

  it('refuses late imports, undefined functions, two exports of one name and shared memory without a maximum', () => {
    const module = newModule()
    const declared = module.declare('later', {}, 'void')
    expect(() => module.importFunction('env', 'f', {}, 'void')).toThrow(/before own functions/)
    expect(() => module.toBytes()).toThrow(/later is declared but not defined/)
    module.export(declared)
    expect(() => module.export(declared)).toThrow(/already exported/)
    expect(() => newModule({ minimum: 1, shared: true })).toThrow(/maximum/)
  })
})

describe('printModule', () => {
  it('shows functions as text', () => {
    const module = newModule()
    module.function('scale', { address: 'i32', factor: 'f32' }, 'void', (fn, { address, factor }) => {
      const vector = fn.local('v128', 'vector', f32x4.splat(factor))
      fn.if(i32.gtS(address, -1), () => fn.store('v128', address, f32x4.mul(v128.load(address, 16), vector), 16))
    })
    expect(printModule(module)).toMatchInlineSnapshot(`
      "(func $scale (param $address i32) (param $factor f32)
        (local $vector.2 v128)
        local.get $factor.1
        f32x4.splat
        local.set $vector.2
        local.get $address.0
        i32.const -1
        i32.gt_s
        if
          local.get $address.0
          local.get $address.0
          v128.load offset=16
          local.get $vector.2
          f32x4.mul
          v128.store offset=16
        end
      )"
    `)
  })
})
