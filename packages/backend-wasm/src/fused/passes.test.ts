import type { OpCall, Operand } from '@tessera/core'
import { type BodyBuilder, type BodyValue, ProgramBuilder } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { lowerBody } from './body.ts'
import { planPasses } from './passes.ts'

const shape = [4, 128]

/** The plan of a row body of one input. Outputs of width 1 are written once for each row. */
function plan(write: (body: BodyBuilder, x: BodyValue, output: (width: number) => Operand) => void, inPlace = false) {
  const program = new ProgramBuilder()
  const x = program.input('f32', shape)
  program.row(shape, 1, (body) => {
    write(body, body.load(x), (width) => program.output('f32', [4, width]))
  })
  const call = program.build().calls[0] as OpCall<'fused'>
  const outputs = call.outputs.map((operand, index) => ({
    ...operand,
    buffer: inPlace ? call.inputs[0]!.buffer : operand.buffer,
    place: { kind: 'output', index } as const,
  }))
  const inputs = call.inputs.map((operand, index) => ({ ...operand, place: { kind: 'input', index } as const }))
  const body = lowerBody(call.attributes, inputs, outputs)
  return planPasses(body, true)
}

describe('planPasses', () => {
  it('reads a row three times for softmax, and keeps the exponentials', () => {
    const { passes, slots } = plan((body, x, output) => {
      const exponentials = body.compute('exp', body.compute('subtract', x, body.reduce('reduceMaximum', x)))
      body.store(output(128), body.compute('divide', exponentials, body.reduce('reduceSum', exponentials)))
    })
    expect(passes.map(({ reductions, stores }) => [reductions.length, stores.length])).toEqual([
      [1, 0],
      [1, 0],
      [0, 1],
    ])
    expect(slots.size).toBe(1)
    expect(passes[2]!.restored.size).toBe(1)
  })

  it('computes again what is cheap', () => {
    const { passes, slots } = plan((body, x, output) => {
      const centered = body.compute('subtract', x, body.reduce('reduceSum', x))
      const variance = body.reduce('reduceSum', body.compute('multiply', centered, centered))
      body.store(output(128), body.compute('multiply', centered, variance))
    })
    expect(passes).toHaveLength(3)
    expect(slots.size).toBe(0)
  })

  it('stores as early as it can, and reads back what it stored', () => {
    const { passes } = plan((body, x, output) => {
      const doubled = body.compute('multiply', x, body.constant(2))
      body.store(output(128), doubled)
      body.store(output(128), body.compute('subtract', doubled, body.reduce('reduceSum', doubled)))
    })
    expect(passes.map(({ stores }) => [...stores])).toEqual([[0], [1]])
    expect(passes[1]!.reloaded.size).toBe(1)
  })

  it('stores last what overwrites its own input', () => {
    const { passes } = plan((body, x, output) => {
      body.store(output(128), body.compute('multiply', x, body.constant(2)))
      body.store(output(1), body.reduce('reduceSum', body.compute('subtract', x, body.reduce('reduceSum', x))))
    }, true)
    expect(passes.map(({ stores }) => [...stores])).toEqual([[], [], [0]])
  })

  it('needs no last pass when only reductions are stored', () => {
    const { passes, rowStores } = plan((body, x, output) => body.store(output(1), body.reduce('reduceSum', x)))
    expect(rowStores).toEqual([0])
    expect(passes.map(({ reductions, stores }) => reductions.length + stores.length)).toEqual([1, 0])
  })
})
