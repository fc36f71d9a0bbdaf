import { grad, jit, randomKey, randomNormal, stack, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { checkGradient } from '@tessera/core/testing'
import { describe, expect, test } from 'vitest'
import { AdamW } from '../optimizers/adam.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import type { GruCell, LstmCell, LstmState } from './recurrent-cells.ts'
import { Gru, Lstm } from './recurrent-layers.ts'

const x = randomNormal(randomKey(1), [2, 5, 3])

async function expectSame(actual: Tensor, wanted: Tensor): Promise<void> {
  expect(actual.shape).toEqual(wanted.shape)
  const numbers = await wanted.data()
  for (const [i, value] of (await actual.data()).entries()) expect(value).toBeCloseTo(numbers[i]!, 5)
}

describe('a sequence gives what its cell gives step by step', () => {
  for (const reverse of [false, true]) {
    const times = reverse ? [4, 3, 2, 1, 0] : [0, 1, 2, 3, 4]
    test(`LSTM, ${reverse ? 'the backward direction' : 'forward'}`, async () => {
      const layer = new Lstm(3, 4, { key: randomKey(2), bidirectional: reverse })
      const { outputs, states } = layer.forward(x)
      const own = reverse ? 1 : 0
      const cell = layer.cells[own] as LstmCell
      let state: LstmState = cell.initialState(2)
      const steps: Tensor[] = []
      for (const time of times) {
        state = cell.step(x.select(1, time), state)
        steps[time] = state.hidden
      }
      await expectSame(outputs.slice(-1, 4 * own, 4 * own + 4), stack(steps, 1))
      await expectSame(states[own]!.cell, state.cell)
    })

    test(`GRU, ${reverse ? 'the backward direction' : 'forward'}`, async () => {
      const layer = new Gru(3, 4, { key: randomKey(2), bidirectional: reverse })
      const { outputs, states } = layer.forward(x)
      const own = reverse ? 1 : 0
      const cell = layer.cells[own] as GruCell
      let state = cell.initialState(2)
      const steps: Tensor[] = []
      for (const time of times) {
        state = cell.step(x.select(1, time), state)
        steps[time] = state
      }
      await expectSame(outputs.slice(-1, 4 * own, 4 * own + 4), stack(steps, 1))
      await expectSame(states[own]!, state)
    })
  }
})

test('layers stand on top of each other, and a sequence goes on where it stopped', async () => {
  const layer = new Lstm(3, 4, { key: randomKey(2), layers: 2 })
  const whole = layer.forward(x)
  const lower = new Lstm(3, 4, { key: randomKey(0) })
  Object.assign(lower, { cells: [layer.cells[0]] })
  const upper = new Lstm(4, 4, { key: randomKey(0) })
  Object.assign(upper, { cells: [layer.cells[1]] })
  await expectSame(whole.outputs, upper.forward(lower.forward(x).outputs).outputs)
  const first = layer.forward(x.slice(1, 0, 2))
  const rest = layer.forward(x.slice(1, 2), first.states)
  await expectSame(rest.outputs, whole.outputs.slice(1, 2))
})

test('gradients flow through time', async () => {
  const layer = new Gru(2, 3, { key: randomKey(4) })
  const loss = (value: Tensor) =>
    layer
      .forward(value.reshape([1, 4, 2]))
      .outputs.square()
      .sum()
  await checkGradient({
    evaluate: ([values]) => loss(tensor(values!)).item(),
    gradient: async ([values]) => [await grad(loss)(tensor(values!)).data()],
    inputs: [Float64Array.from({ length: 8 }, (_, i) => Math.sin(i))],
    tolerance: 1e-5,
  })
})

test('an LSTM learns to tell what came first', async () => {
  class Memory extends Module {
    readonly lstm = new Lstm(1, 8, { key: randomKey(5) })
    readonly output = new Linear(8, 1, { key: randomKey(6) })
  }
  const model = new Memory()
  const optimizer = new AdamW(model, { learningRate: 0.03, weightDecay: 0 })
  const signs = Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 1 : -1))
  const noise = await randomNormal(randomKey(7), [16, 6]).data()
  const sequences = tensor(
    noise.map((value, i) => (i % 6 === 0 ? signs[i / 6]! : value * 0.3)),
    [16, 6, 1],
  )
  const step = jit((m: Memory, adam: AdamW, inputs: Tensor, targets: Tensor) => {
    const { value, gradients } = valueAndGrad(m.parameters(), () =>
      m.output.forward(m.lstm.forward(inputs).outputs.select(1, -1)).squeeze(-1).subtract(targets).square().mean(),
    )
    adam.update(m, gradients)
    return value
  })
  for (let i = 0; i < 60; i++) step(model, optimizer, sequences, tensor(signs))
  expect(await step(model, optimizer, sequences, tensor(signs)).item()).toBeLessThan(0.1)
  expect(step.compilations).toBe(1)
})

test('dropout stands between layers only', () => {
  expect(new Lstm(3, 4, { key: randomKey(0), layers: 3, dropout: 0.5 }).dropouts).toHaveLength(2)
  expect(new Gru(3, 4, { key: randomKey(0), dropout: 0.5 }).dropouts).toHaveLength(0)
  expect(() => new Gru(3, 4, { key: randomKey(0), layers: 0 })).toThrow(/Gru: layers/)
})
