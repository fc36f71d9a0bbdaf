import { type Expression, type FunctionBuilder, f32x4, type Local, type Variant, v128 } from '@tessera/backend-wasm'
import type { LinearProgram } from '../generator/linear-program.ts'

type Statements = Pick<FunctionBuilder, 'local'>

/** The factors of a program as vectors in locals: constants inside a loop are slow. */
export type Factors = ReadonlyMap<string, Local<'v128'>>

/** Loads the factors of a program, before the loop that runs it. */
export function loadFactors(fn: Statements, program: LinearProgram): Factors {
  const factors = new Map<string, Local<'v128'>>()
  for (const { factor } of program.steps) {
    const key = `${factor}`
    if (key === '1' || key === '-1' || factors.has(key)) continue
    factors.set(key, fn.local('v128', 'factor', v128.const(new Float32Array(4).fill(factor.toNumber()))))
  }
  return factors
}

/** Emits a program on vectors: `values` are its inputs. Four independent problems run in the four lanes. */
export function emitLinear(
  fn: Statements,
  variant: Variant,
  program: LinearProgram,
  factors: Factors,
  values: readonly Expression<'v128'>[],
): Expression<'v128'>[] {
  const known = [...values]
  for (const { left, right, factor } of program.steps) {
    const operand = known[right]!
    const sum = left === undefined ? undefined : known[left]!
    const key = `${factor}`
    known.push(fn.local('v128', 'value', step(variant, sum, operand, key, factors.get(key))))
  }
  return program.outputs.map((output) => (output === undefined ? v128.const(new Float32Array(4)) : known[output]!))
}

function step(
  variant: Variant,
  sum: Expression<'v128'> | undefined,
  operand: Expression<'v128'>,
  key: string,
  factor: Local<'v128'> | undefined,
): Expression<'v128'> {
  if (!factor) {
    if (!sum) return key === '1' ? operand : f32x4.neg(operand)
    return key === '1' ? f32x4.add(sum, operand) : f32x4.sub(sum, operand)
  }
  if (!sum) return f32x4.mul(operand, factor)
  return variant === 'plain' ? f32x4.add(sum, f32x4.mul(operand, factor)) : f32x4.relaxedMadd(operand, factor, sum)
}
