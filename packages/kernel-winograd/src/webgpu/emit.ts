import { literal } from '@tessera/backend-webgpu/kernel'
import { type LinearProgram, runLinearProgram } from '../generator/linear-program.ts'
import type { Rational } from '../generator/rational.ts'

/** Statements of WGSL in the making. */
export class Statements {
  readonly lines: string[] = []
  #count = 0

  /** Declares a value and gives its name. */
  declare(value: string): string {
    const name = `t${this.#count++}`
    this.lines.push(`let ${name} = ${value};`)
    return name
  }
}

/** The square matrix whose entries a function names. */
export type Square = (row: number, column: number) => string

/**
 * Writes `T d Tᵀ` for a square `d` of scalars: the transform along the columns, then along the rows. Every value has a name of its own, as compilers keep
 * arrays that a loop indexes in memory.
 */
export function transformSquare(statements: Statements, program: LinearProgram, source: Square): Square {
  const from = Array.from({ length: program.inputs }, (_, i) => i)
  const columns = from.map((column) =>
    transform(
      statements,
      program,
      from.map((row) => source(row, column)),
    ),
  )
  const rows = program.outputs.map((_, row) =>
    transform(
      statements,
      program,
      columns.map((column) => column[row]!),
    ),
  )
  return (row, column) => rows[row]![column]!
}

function transform(statements: Statements, program: LinearProgram, values: readonly string[]): string[] {
  const scaled = (value: string, factor: Rational): string => `${literal(factor.toNumber(), 'f32')} * ${value}`
  return runLinearProgram(program, values, {
    zero: () => '0.0f',
    scale: (value, factor) => statements.declare(isUnit(factor) ? `${signOf(factor)}${value}` : scaled(value, factor)),
    addScaled: (left, right, factor) =>
      statements.declare(
        isUnit(factor)
          ? `${left} ${signOf(factor) || '+'} ${right}`
          : `${left} ${signOf(factor) || '+'} ${scaled(right, factor.absolute())}`,
      ),
  })
}

const isUnit = (factor: Rational): boolean => Math.abs(factor.toNumber()) === 1
const signOf = (factor: Rational): '' | '-' => (factor.toNumber() < 0 ? '-' : '')
