import { randomKey, randomNormal, type Tensor } from '@tessera/core'
import { expect, test } from 'vitest'
import { GruCell, LstmCell } from './recurrent-cells.ts'

const batch = 2
const inputs = 3
const width = 4
const steps = 4

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const x = Array.from({ length: steps }, (_, i) => randomNormal(randomKey(10 + i), [batch, inputs]))

/** `x · weight + bias` for one example, in double precision. */
async function product(layer: { weight: Tensor; bias: Tensor | undefined }, row: readonly number[]): Promise<number[]> {
  const [weight, bias] = [await layer.weight.data(), await layer.bias!.data()]
  return [...bias].map((b, j) => row.reduce((sum, value, k) => sum + value * weight[k * bias.length + j]!, b))
}

const rowOf = async (x: Tensor, example: number) => {
  const size = x.shape[1]!
  return [...(await x.data())].slice(example * size, (example + 1) * size)
}

test('LstmCell follows the equations of PyTorch’s LSTMCell', async () => {
  const cell = new LstmCell(inputs, width, { key: randomKey(1) })
  cell.input.bias = randomNormal(randomKey(2), [4 * width])
  let state = cell.initialState(batch)
  const wanted = Array.from({ length: batch }, () => ({
    h: new Array<number>(width).fill(0),
    c: new Array<number>(width).fill(0),
  }))
  for (const step of x) {
    state = cell.step(step, state)
    for (const [n, own] of wanted.entries()) {
      const fromHidden = await product(cell.recurrent, own.h)
      const gates = (await product(cell.input, await rowOf(step, n))).map((value, i) => value + fromHidden[i]!)
      const gate = (index: number, i: number) => gates[index * width + i]!
      own.c = own.c.map((c, i) => sigmoid(gate(1, i)) * c + sigmoid(gate(0, i)) * Math.tanh(gate(2, i)))
      own.h = own.c.map((c, i) => sigmoid(gate(3, i)) * Math.tanh(c))
      for (const [i, value] of (await rowOf(state.hidden, n)).entries()) expect(value).toBeCloseTo(own.h[i]!, 5)
      for (const [i, value] of (await rowOf(state.cell, n)).entries()) expect(value).toBeCloseTo(own.c[i]!, 5)
    }
  }
})

test('GruCell follows the equations of PyTorch’s GRUCell', async () => {
  const cell = new GruCell(inputs, width, { key: randomKey(1) })
  cell.input.bias = randomNormal(randomKey(2), [3 * width])
  cell.recurrent.bias = randomNormal(randomKey(3), [3 * width])
  let state = cell.initialState(batch)
  const wanted = Array.from({ length: batch }, () => new Array<number>(width).fill(0))
  for (const step of x) {
    state = cell.step(step, state)
    for (const n of wanted.keys()) {
      const [a, b] = [await product(cell.input, await rowOf(step, n)), await product(cell.recurrent, wanted[n]!)]
      wanted[n] = wanted[n]!.map((h, i) => {
        const reset = sigmoid(a[i]! + b[i]!)
        const update = sigmoid(a[width + i]! + b[width + i]!)
        const candidate = Math.tanh(a[2 * width + i]! + reset * b[2 * width + i]!)
        return (1 - update) * candidate + update * h
      })
      for (const [i, value] of (await rowOf(state, n)).entries()) expect(value).toBeCloseTo(wanted[n]![i]!, 5)
    }
  }
})

test('sizes that make no cell are refused', () => {
  expect(() => new LstmCell(0, 2, { key: randomKey(0) })).toThrow(/LstmCell: inputs/)
})
