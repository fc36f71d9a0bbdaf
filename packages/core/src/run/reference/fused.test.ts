import { describe, expect, it } from 'vitest'
import { sliceView } from '../../graph/view.ts'
import type { OpCall } from '../../schedule/program.ts'
import { ProgramBuilder, withView } from '../../testing/programs.ts'
import { createRandom } from '../../testing/random.ts'
import { buildFused } from './fused.ts'

const random = createRandom(5)
const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal())

/** Runs the only call of a program on arrays, in blocks of every length given. */
function runBlocks(
  program: ProgramBuilder,
  inputs: Float32Array[],
  sizes: number[],
  blocks = [1, 3, 7, 1024],
): Float32Array[][] {
  const call = program.build().calls[0]! as OpCall<'fused'>
  return blocks.map((block) => {
    const outputs = sizes.map((size) => new Float32Array(size))
    buildFused(call, block)(inputs, outputs)
    return outputs
  })
}
const close = (actual: ArrayLike<number>, expected: readonly number[]): void => {
  expect(actual.length).toBe(expected.length)
  for (const [i, value] of expected.entries())
    expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(2 ** -23 * Math.abs(value) + 1e-12)
}

describe.each([
  [4, 1],
  [3, 5],
  [2, 17],
])('rows: %i × %i', (rows, length) => {
  it('softmax is what two plain loops give, in blocks of any length', () => {
    const program = new ProgramBuilder()
    const [x, y] = [program.input('f32', [rows, length]), program.output('f32', [rows, length])]
    program.row([rows, length], 1, (body) => {
      const e = body.compute('exp', body.compute('subtract', body.load(x), body.reduce('reduceMaximum', body.load(x))))
      body.store(y, body.compute('divide', e, body.reduce('reduceSum', e)))
    })
    const data = draw(rows * length)
    const expected: number[] = []
    for (let row = 0; row < rows; row++) {
      const values = [...data.slice(row * length, (row + 1) * length)]
      const largest = Math.max(...values)
      const total = values.reduce((sum, value) => sum + Math.exp(value - largest), 0)
      for (const value of values) expected.push(Math.exp(value - largest) / total)
    }
    for (const [result] of runBlocks(program, [data], [rows * length])) close(result!, expected)
  })

  it('layer norm is what plain loops give, with one deviation for each row', () => {
    const program = new ProgramBuilder()
    const [x, gain] = [program.input('f32', [rows, length]), program.input('f32', [1, length])]
    const [y, deviations] = [program.output('f32', [rows, length]), program.output('f32', [rows, 1])]
    program.row([rows, length], 1, (body) => {
      const share = body.constant(1 / length, 'f64')
      const mean = body.compute('multiply', body.reduce('reduceSum', body.load(x)), share)
      const centered = body.compute('subtract', body.load(x), mean)
      const variance = body.compute(
        'multiply',
        body.reduce('reduceSum', body.compute('multiply', centered, centered)),
        share,
      )
      const deviation = body.compute('squareRoot', body.compute('add', variance, body.constant(0.01, 'f64')))
      body.store(y, body.compute('multiply', body.compute('divide', centered, deviation), body.load(gain)))
      body.store(deviations, deviation)
    })
    const [data, gains] = [draw(rows * length), draw(length)]
    const expected: number[] = []
    const expectedDeviations: number[] = []
    for (let row = 0; row < rows; row++) {
      let mean = 0
      for (let i = 0; i < length; i++) mean += data[row * length + i]! / length
      let variance = 0
      for (let i = 0; i < length; i++) variance += (data[row * length + i]! - mean) ** 2 / length
      const deviation = Math.sqrt(variance + 0.01)
      expectedDeviations.push(deviation)
      for (let i = 0; i < length; i++) expected.push(((data[row * length + i]! - mean) / deviation) * gains[i]!)
    }
    for (const [result, found] of runBlocks(program, [data, gains], [rows * length, rows])) {
      close(result!, expected)
      close(found!, expectedDeviations)
    }
  })
})

describe('rows', () => {
  it('without elements store the identities of their reductions', () => {
    const program = new ProgramBuilder()
    const x = program.input('f32', [3, 0])
    const [sum, shifted] = [program.output('f32', [3, 1]), program.output('f32', [3, 1])]
    program.row([3, 0], 1, (body) => {
      const total = body.reduce('reduceSum', body.load(x))
      body.store(sum, total)
      body.store(shifted, body.compute('add', total, body.constant(5)))
    })
    for (const [totals, results] of runBlocks(program, [new Float32Array(0)], [3, 3])) {
      expect([...totals!, ...results!]).toEqual([0, 0, 0, 5, 5, 5])
    }
  })

  it('of two axes, read from a transposed input', () => {
    const program = new ProgramBuilder()
    const [x, y] = [program.input('f32', [4, 3, 2]), program.output('f32', [2, 1, 1])]
    // The domain [2, 3, 4] walks x from its last axis to its first.
    program.row([2, 3, 4], 2, (body) => {
      const view = { shape: [2, 3, 4], strides: [1, 2, 6], offset: 0 }
      const weight = body.cast(body.iota([0, 10, 1]), 'f32')
      body.store(y, body.reduce('reduceSum', body.compute('multiply', body.load({ ...x, view }), weight)))
    })
    const data = Float32Array.from({ length: 24 }, (_, i) => i)
    const expected = [0, 0]
    for (let a = 0; a < 4; a++)
      for (let b = 0; b < 3; b++) for (let c = 0; c < 2; c++) expected[c]! += data[a * 6 + b * 2 + c]! * (10 * b + a)
    for (const [result] of runBlocks(program, [data], [2])) expect([...result!]).toEqual(expected)
  })

  it('computed in place: an output may be the view of an input', () => {
    const program = new ProgramBuilder()
    const data = program.temporary('f32', [2, 5])
    program.row([2, 5], 1, (body) => {
      body.store(data, body.compute('subtract', body.load(data), body.reduce('reduceMaximum', body.load(data))))
    })
    const call = program.build().calls[0]! as OpCall<'fused'>
    for (const block of [2, 5]) {
      const memory = Float32Array.of(1, 5, 2, 3, 4, 9, 8, 7, 6, 10)
      buildFused(call, block)([memory], [memory])
      expect([...memory]).toEqual([-4, 0, -3, -2, -1, -1, -2, -3, -4, 0])
    }
  })
})

describe('columns', () => {
  it('reduce middle axes, and store values of each point too', () => {
    const program = new ProgramBuilder()
    const x = program.input('f32', [2, 3, 5])
    const [sum, largest, doubled] = [
      program.output('f32', [2, 1, 5]),
      program.output('f32', [2, 1, 5]),
      program.output('f32', [2, 3, 5]),
    ]
    program.column([2, 3, 5], 1, 2, (body) => {
      const value = body.load(x)
      body.store(sum, body.reduce('reduceSum', body.compute('multiply', value, value)))
      body.store(largest, body.reduce('reduceMaximum', value))
      body.store(doubled, body.compute('add', value, value))
    })
    const data = draw(30)
    const [sums, maxima]: number[][] = [[], []]
    for (let a = 0; a < 2; a++) {
      for (let c = 0; c < 5; c++) {
        const column = [0, 1, 2].map((b) => data[a * 15 + b * 5 + c]!)
        sums!.push(column.reduce((total, value) => total + value * value, 0))
        maxima!.push(Math.max(...column))
      }
    }
    for (const [squares, extremes, twice] of runBlocks(program, [data], [10, 10, 30])) {
      close(squares!, sums!)
      expect([...extremes!]).toEqual(maxima)
      expect([...twice!]).toEqual([...data].map((value) => Math.fround(2 * value)))
    }
  })

  it('sum in float64: what f32 would lose stays', () => {
    const program = new ProgramBuilder()
    const [x, y] = [program.input('f32', [3, 2]), program.output('f32', [1, 2])]
    program.column([3, 2], 0, 1, (body) => body.store(y, body.reduce('reduceSum', body.load(x))))
    for (const [result] of runBlocks(program, [Float32Array.of(1e8, 1, 1, 1e8, -1e8, -1e8)], [2]))
      expect([...result!]).toEqual([1, 1])
  })
})

describe('maps', () => {
  it('address reversed, skipping and repeated operands and strided outputs', () => {
    const program = new ProgramBuilder()
    const [x, row] = [program.input('f32', [2, 6]), program.input('f32', [1, 3])]
    const y = program.output('f32', [2, 8])
    program.map([2, 3], (body) => {
      const reversed = body.load(withView(x, (view) => sliceView(view, [1, 5], [2, 3], [-1, -2])))
      body.store(
        withView(y, (view) => sliceView(view, [0, 1], [2, 3], [1, 3])),
        body.compute('add', reversed, body.load(row)),
      )
    })
    const data = Float32Array.from({ length: 12 }, (_, i) => i)
    for (const [result] of runBlocks(program, [data, Float32Array.of(100, 200, 300)], [16])) {
      expect([...result!]).toEqual([0, 111, 0, 0, 209, 0, 0, 307, 0, 105, 0, 0, 203, 0, 0, 301])
    }
  })

  it('count with strides and an offset', () => {
    const program = new ProgramBuilder()
    const y = program.output('f32', [2, 3])
    program.map([2, 3], (body) => body.store(y, body.iota([10, -1], 5, 'f32')))
    for (const [result] of runBlocks(program, [], [6])) expect([...result!]).toEqual([5, 4, 3, 15, 14, 13])
  })

  it('hold constants as numbers of their format', () => {
    const program = new ProgramBuilder()
    const [same, whole] = [program.output('f32', [1]), program.output('f32', [1])]
    program.map([1], (body) => {
      body.store(
        same,
        body.cast(
          body.compute('equal', body.cast(body.constant(0.1), 'f64'), body.constant(Math.fround(0.1), 'f64')),
          'f32',
        ),
      )
      body.store(whole, body.cast(body.constant(3.7, 'i32'), 'f32'))
    })
    for (const [equal, integer] of runBlocks(program, [], [1, 1])) expect([equal![0], integer![0]]).toEqual([1, 3])
  })
})

it('says when an operand does not have the shape of the domain', () => {
  const program = new ProgramBuilder()
  const y = program.output('f32', [4])
  program.map([4], (body) => body.store(y, body.constant(1)))
  const call = program.build().calls[0]! as OpCall<'fused'>
  const wrong = { ...call, outputs: [{ ...y, view: { shape: [3], strides: [1], offset: 0 } }] }
  expect(() => buildFused(wrong)).toThrow(/\[3\] and 1 strides does not have the shape of the domain, \[4\]/)
})
