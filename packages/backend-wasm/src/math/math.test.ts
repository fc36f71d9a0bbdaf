import { describe, expect, it } from 'vitest'
import type { Local } from '../assembler/index.ts'
import { ModuleBuilder, v128 } from '../assembler/index.ts'
import type { Variant } from '../variant.ts'
import { supportsRelaxedSimd, usesRelaxedSimd, variants } from '../variant.ts'
import type { MathContext, Vector } from './index.ts'
import { ConstantPool, cos, erf, exp, exp2, expm1, log, log1p, pow, sin, tanh } from './index.ts'

const samples = 1 << 16
const memory = new WebAssembly.Memory({ initial: 16 })
const floats = new Float32Array(memory.buffer)
const second = samples
const output = 2 * samples

/** Compiles a loop over pairs of vectors; returns y[i] = f(x[i], exponent[i]). */
function compile(variant: Variant, emit: (context: MathContext, x: Local<'v128'>, other: Local<'v128'>) => Vector) {
  const module = new ModuleBuilder()
  module.importMemory('env', 'memory', { minimum: 1 })
  const loop = module.function('loop', { bytes: 'i32' }, 'void', (fn, { bytes }) => {
    const context = new ConstantPool(fn, fn.insertionPoint(), variant)
    fn.forRange(0, bytes, 32, (address) => {
      const results = [0, 16].map((offset) => {
        const x = fn.local('v128', 'x', v128.load(address, offset))
        const other = fn.local('v128', 'other', v128.load(address, 4 * second + offset))
        return fn.local('v128', 'y', emit(context, x, other))
      })
      results.forEach((result, i) => {
        fn.store('v128', address, result, 4 * output + 16 * i)
      })
    })
  })
  module.export(loop)
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.toBytes()), { env: { memory } })
  const run = (instance.exports as { loop: (bytes: number) => void }).loop
  return (x: ArrayLike<number>, other: ArrayLike<number> = new Float32Array(x.length)): Float32Array => {
    floats.set(x, 0)
    floats.set(other, second)
    run(Math.ceil(x.length / 8) * 32)
    return floats.slice(output, output + x.length)
  }
}

/** Distance in units of the last place of a 32-bit float at the exact value. */
function ulps(value: number, exact: number): number {
  if (Object.is(value, exact) || (Number.isNaN(value) && Number.isNaN(exact))) return 0
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(exact))), -126)
  return Math.abs(value - exact) / 2 ** (exponent - 23)
}

function erf64(x: number): number {
  const a = Math.abs(x)
  if (a > 3) {
    let fraction = 0
    for (let k = 60; k >= 1; k--) fraction = k / 2 / (a + fraction)
    return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction))
  }
  let [sum, term] = [a, a]
  for (let n = 1; n < 100; n++) {
    term *= (-a * a) / n
    sum += term / (2 * n + 1)
  }
  return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
}

/** Dense in [low, high], and once more towards 0 over all exponents. */
function dense(low: number, high: number): Float32Array {
  const smallest = Math.log(1e-38)
  return Float32Array.from({ length: samples }, (_, i) => {
    const part = i / samples
    if (i % 2 === 0) return low + (high - low) * part
    const magnitude = Math.exp(smallest + (Math.log(high) - smallest) * part)
    return i % 4 === 1 || low >= 0 ? magnitude : Math.max(low, -magnitude)
  })
}

const infinity = Number.POSITIVE_INFINITY
/** For each function: its exact value, the largest error in ulp, and the range in which that holds. */
const functions = {
  exp: {
    emit: exp,
    exact: Math.exp,
    bound: 1.3,
    range: [-86.98, 88.72],
    at: [
      [-infinity, 0],
      [infinity, infinity],
      [89, infinity],
      [-1e30, 0],
      [-88, 0],
      [0, 1],
    ],
  },
  exp2: {
    emit: exp2,
    exact: (x: number) => 2 ** x,
    bound: 1.3,
    range: [-125.49, 127.99],
    at: [
      [-infinity, 0],
      [128, infinity],
      [-127, 0],
      [10, 1024],
      [0, 1],
    ],
  },
  expm1: {
    emit: expm1,
    exact: Math.expm1,
    bound: 1.6,
    range: [-30, 88.72],
    at: [
      [-infinity, -1],
      [infinity, infinity],
      [89, infinity],
      [0, 0],
      [-0, -0],
      [-100, -1],
    ],
  },
  log: {
    emit: log,
    exact: Math.log,
    bound: 1,
    range: [0, 3.4e38],
    at: [
      [0, -infinity],
      [-0, -infinity],
      [-1, Number.NaN],
      [-infinity, Number.NaN],
      [infinity, infinity],
      [1, 0],
      [2 ** -149, Math.fround(Math.log(2 ** -149))],
    ],
  },
  log1p: {
    emit: log1p,
    exact: Math.log1p,
    bound: 1.6,
    range: [-0.9999, 1e10],
    at: [
      [-1, -infinity],
      [-2, Number.NaN],
      [infinity, infinity],
      [0, 0],
      [-0, -0],
    ],
  },
  tanh: {
    emit: tanh,
    exact: Math.tanh,
    bound: 2.5,
    range: [-12, 12],
    at: [
      [infinity, 1],
      [-infinity, -1],
      [0, 0],
      [-0, -0],
      [2 ** -149, 2 ** -149],
    ],
  },
  erf: {
    emit: erf,
    exact: erf64,
    bound: 4,
    range: [-5, 5],
    at: [
      [infinity, 1],
      [-infinity, -1],
      [0, 0],
      [-0, -0],
    ],
  },
  sin: {
    emit: sin,
    exact: Math.sin,
    bound: 1.7,
    range: [-1e6, 1e6],
    at: [
      [infinity, Number.NaN],
      [-infinity, Number.NaN],
      [0, 0],
    ],
  },
  cos: {
    emit: cos,
    exact: Math.cos,
    bound: 1.7,
    range: [-1e6, 1e6],
    at: [
      [infinity, Number.NaN],
      [-infinity, Number.NaN],
      [0, 1],
    ],
  },
} satisfies Record<
  string,
  {
    emit: (context: MathContext, x: Local<'v128'>) => Vector
    exact: (x: number) => number
    bound: number
    range: [number, number]
    at: [number, number][]
  }
>

for (const variant of variants) {
  describe.skipIf(usesRelaxedSimd(variant) && !supportsRelaxedSimd())(`math, ${variant}`, () => {
    for (const [name, { emit, exact, bound, range, at }] of Object.entries(functions)) {
      const compute = compile(variant, emit)

      it(`${name} errs by at most ${bound} ulp`, () => {
        const x = dense(range[0] as number, range[1] as number)
        const y = compute(x)
        let worst = { error: 0, x: 0 }
        for (let i = 0; i < x.length; i++) {
          const error = ulps(y[i] as number, exact(x[i] as number))
          if (!(error <= worst.error)) worst = { error, x: x[i] as number }
        }
        expect(worst.error, `at x = ${worst.x}`).toBeLessThanOrEqual(bound)
      })

      it(`${name} has the right special values and keeps NaN`, () => {
        const y = compute([...at.map(([x]) => x as number), Number.NaN])
        expect([...y]).toEqual([...at.map(([, value]) => value as number), Number.NaN])
      })
    }

    it('tanh, erf, sin and cos stay within [-1, 1]', () => {
      const x = Float32Array.from({ length: samples }, (_, i) => (i % 2 ? 1 : -1) * 10 ** ((38 * i) / samples - 2))
      for (const emit of [tanh, erf, sin, cos]) {
        expect(compile(variant, emit)(x).every((y) => Math.abs(y) <= 1)).toBe(true)
      }
    })

    it('pow errs by at most 0.6 ulp', () => {
      const compute = compile(variant, pow)
      const base = Float32Array.from({ length: samples }, (_, i) => 2 ** ((60 * i) / samples - 30))
      const exponent = Float32Array.from({ length: samples }, (_, i) => ((i * 7919) % samples) / 8192 - 4)
      const y = compute(base, exponent)
      let worst = 0
      for (let i = 0; i < samples; i++) worst = Math.max(worst, ulps(y[i]!, base[i]! ** exponent[i]!))
      expect(worst).toBeLessThanOrEqual(0.6)
    })

    it('pow has the special values of IEEE 754', () => {
      const compute = compile(variant, pow)
      const values = [0, -0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, infinity, -infinity, Number.NaN, 2 ** 24 + 2, 2 ** -140]
      for (const base of values) {
        const y = compute(
          values.map(() => base),
          values,
        )
        const ieee = values.map((exponent) => {
          const isOne = base === 1 || (base === -1 && Math.abs(exponent) === infinity)
          return isOne ? 1 : Math.fround(base ** exponent)
        })
        values.forEach((exponent, i) => {
          expect(ulps(y[i]!, ieee[i]!), `${base} ^ ${exponent} = ${y[i]}, expected ${ieee[i]}`).toBeLessThanOrEqual(1)
        })
      }
    })
  })
}
