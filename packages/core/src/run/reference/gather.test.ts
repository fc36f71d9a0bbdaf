import { describe, expect, it } from 'vitest'
import type { OpCall } from '../../schedule/program.ts'
import { ProgramBuilder } from '../../testing/programs.ts'
import { buildGather, buildScatter } from './gather.ts'

type Mode = 'add' | 'set'
function gatherCall(shape: number[], by: number[], axis: number, out: number[]): OpCall<'gather'> {
  const program = new ProgramBuilder()
  program.call(
    'gather',
    { axis },
    [program.input('f32', shape), program.input('i32', by)],
    [program.output('f32', out)],
  )
  return program.build().calls[0]! as OpCall<'gather'>
}
function scatterCall(shape: number[], by: number[], updates: number[], axis: number, mode: Mode): OpCall<'scatter'> {
  const program = new ProgramBuilder()
  const operands = [program.input('f32', shape), program.input('i32', by), program.input('f32', updates)]
  program.call('scatter', { axis, mode }, operands, [program.output('f32', shape)])
  return program.build().calls[0]! as OpCall<'scatter'>
}

describe('gather', () => {
  it('picks rows, with indices clamped', () => {
    const result = new Float32Array(8)
    buildGather(gatherCall([3, 2], [4], 0, [4, 2]))(
      [Float32Array.of(1, 2, 3, 4, 5, 6), Int32Array.of(2, -5, 0, 9)],
      [result],
    )
    expect([...result]).toEqual([5, 6, 1, 2, 1, 2, 5, 6])
  })

  it('puts the axes of the indices in the place of the axis', () => {
    const data = Float32Array.from({ length: 24 }, (_, i) => i)
    const indices = Int32Array.of(2, 0, 1, 1)
    const result = new Float32Array(2 * 2 * 2 * 4)
    buildGather(gatherCall([2, 3, 4], [2, 2], 1, [2, 2, 2, 4]))([data, indices], [result])
    const expected: number[] = []
    for (let a = 0; a < 2; a++)
      for (let i = 0; i < 2; i++)
        for (let j = 0; j < 2; j++)
          for (let c = 0; c < 4; c++) expected.push(data[a * 12 + indices[i * 2 + j]! * 4 + c]!)
    expect([...result]).toEqual(expected)
  })

  it('cannot read an axis without elements', () => {
    expect(() => buildGather(gatherCall([0, 2], [1], 0, [1, 2]))).toThrow(/axis 0 of \[0, 2\] has no elements/)
  })

  it('names shapes that do not fit', () => {
    expect(() => buildGather(gatherCall([3, 2], [4], 0, [2, 4]))).toThrow(
      /f32\[3, 2\] indexed along axis 0 by i32\[4\] does not give f32\[2, 4\]/,
    )
  })
})

describe('scatter', () => {
  const base = Float32Array.of(1, 2, 3, 4, 5, 6)
  const updates = Float32Array.of(10, 20, 30, 40, 50, 60, 70, 80)

  it('adds all updates of an index and ignores indices out of range', () => {
    const result = new Float32Array(6)
    buildScatter(scatterCall([3, 2], [4], [4, 2], 0, 'add'))([base, Int32Array.of(1, 3, 1, -1), updates], [result])
    expect([...result]).toEqual([1, 2, 63, 84, 5, 6])
  })

  it('keeps the later of two writes', () => {
    const result = new Float32Array(6)
    buildScatter(scatterCall([3, 2], [4], [4, 2], 0, 'set'))([base, Int32Array.of(1, 0, 1, 7), updates], [result])
    expect([...result]).toEqual([30, 40, 50, 60, 5, 6])
  })

  it('works along the last axis', () => {
    const result = new Float32Array(6)
    buildScatter(scatterCall([2, 3], [2], [2, 2], 1, 'add'))(
      [base, Int32Array.of(2, 0), Float32Array.of(10, 20, 30, 40)],
      [result],
    )
    expect([...result]).toEqual([21, 2, 13, 44, 5, 36])
  })

  it('works in place, and leaves the base alone otherwise', () => {
    const call = scatterCall([3, 2], [1], [1, 2], 0, 'add')
    const memory = base.slice()
    buildScatter(call)([memory, Int32Array.of(2), Float32Array.of(1, 1)], [memory])
    expect([...memory]).toEqual([1, 2, 3, 4, 6, 7])
    expect([...base]).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('rounds a sum once', () => {
    const result = new Float32Array(1)
    // In f32, 2^24 + 1 = 2^24 each time.
    buildScatter(scatterCall([1], [3], [3], 0, 'add'))(
      [Float32Array.of(2 ** 24), Int32Array.of(0, 0, 0), Float32Array.of(1, 1, 1)],
      [result],
    )
    expect(result[0]).toBe(2 ** 24 + 4)
  })
})
