import type { OpCall } from '@tessera/core'
import { type BodyBuilder, ProgramBuilder } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { planFused } from './plan.ts'

function mapPlan(domain: readonly number[], write: (body: BodyBuilder, x: number) => number) {
  const program = new ProgramBuilder()
  const [x, y] = [program.input('f32', domain), program.output('f32', domain)]
  program.map(domain, (body) => body.store(y, write(body, body.load(x))))
  return planFused(program.build().calls[0] as OpCall<'fused'>)
}
const functionsOf = (plan: ReturnType<typeof planFused>) => plan.steps.map((step) => step.function)
const scale = (by: number) => (body: BodyBuilder, x: number) => body.compute('multiply', x, body.constant(by))

describe('planFused', () => {
  it('gives bodies of one structure one function, whatever their sizes, ranks and constants', () => {
    const expected = functionsOf(mapPlan([100], scale(2)))
    expect(functionsOf(mapPlan([7, 33, 5], scale(0.1)))).toEqual(expected)
    expect(functionsOf(mapPlan([], scale(3)))).toEqual(expected)
    expect(functionsOf(mapPlan([100], (body, x) => body.compute('add', x, body.constant(2))))).not.toEqual(expected)
  })

  it('has nothing to do for a domain without elements', () => {
    expect(mapPlan([3, 0], scale(2)).steps).toEqual([])
  })

  it('adds up long columns in chunks and joins them in a second step', () => {
    const columns = (rows: number) => {
      const program = new ProgramBuilder()
      const [x, y] = [program.input('f32', [rows, 32]), program.output('f32', [1, 32])]
      program.column([rows, 32], 0, 1, (body) => body.store(y, body.reduce('reduceSum', body.load(x))))
      return planFused(program.build().calls[0] as OpCall<'fused'>)
    }
    expect(columns(400).steps).toHaveLength(1)
    expect(columns(4000).steps).toHaveLength(2)
    expect(columns(4000).sharedScratchBytes).toBe(4 * 32 * 16)
    expect(functionsOf(columns(4000))).toEqual(functionsOf(columns(1_000_000)))
  })

  it('divides few long rows into chunks, one step for each pass', () => {
    const sums = (rows: number, length: number) => {
      const program = new ProgramBuilder()
      const [x, y] = [program.input('f32', [rows, length]), program.output('f32', [rows, 1])]
      program.row([rows, length], 1, (body) => body.store(y, body.reduce('reduceSum', body.load(x))))
      return planFused(program.build().calls[0] as OpCall<'fused'>).steps.length
    }
    expect(sums(100, 50_000)).toBe(1)
    expect(sums(2, 1000)).toBe(1)
    expect(sums(2, 50_000)).toBe(2)
  })
})
