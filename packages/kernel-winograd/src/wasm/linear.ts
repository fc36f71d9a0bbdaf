import { type Expression, type FunctionBuilder, f32x4, type Local, type Variant, v128 } from '@tessera/backend-wasm'
import { type LinearProgram, runLinearProgram } from '../generator/linear-program.ts'
import type { Rational } from '../generator/rational.ts'

type Statements = Pick<FunctionBuilder, 'local'>
type Vector = Expression<'v128'>

/** The factors of a program as vectors in locals: constants inside a loop are slow. */
export type Factors = ReadonlyMap<string, Local<'v128'>>

/** Loads the factors of a program, before the loop that runs it. */
export function loadFactors(fn: Statements, program: LinearProgram): Factors {
  const factors = new Map<string, Local<'v128'>>()
  for (const { factor } of program.steps) {
    const key = `${factor}`
    if (key === '1' || key === '-1' || factors.has(key)) continue
    factors.set(key, fn.local('v128', 'factor', f32x4.splat(factor.toNumber())))
  }
  return factors
}

/** Emits a program on vectors: `values` are its inputs. Four independent problems run in the four lanes. */
export function emitLinear(
  fn: Statements,
  variant: Variant,
  program: LinearProgram,
  factors: Factors,
  values: readonly Vector[],
): Vector[] {
  const name = (value: Vector) => fn.local('v128', 'value', value)
  const factorOf = (factor: Rational) => factors.get(`${factor}`)
  const isOne = (factor: Rational) => `${factor}` === '1'
  return runLinearProgram<Vector>(program, values, {
    zero: () => v128.const(new Float32Array(4)),
    scale: (value, factor) => {
      const vector = factorOf(factor)
      if (vector) return name(f32x4.mul(value, vector))
      return name(isOne(factor) ? value : f32x4.neg(value))
    },
    addScaled: (left, right, factor) => {
      const vector = factorOf(factor)
      if (!vector) return name(isOne(factor) ? f32x4.add(left, right) : f32x4.sub(left, right))
      const fused = variant !== 'plain'
      return name(fused ? f32x4.relaxedMadd(right, vector, left) : f32x4.add(left, f32x4.mul(right, vector)))
    },
  })
}
