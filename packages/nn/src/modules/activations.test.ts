import { randomKey, tensor } from '@tessera/core'
import { expect, test } from 'vitest'
import { Activate, type Activation, activate, PRelu } from './activations.ts'
import { GatedMlp } from './gated-mlp.ts'

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const softplus = (x: number) => Math.log1p(Math.exp(x))
/** By Simpson's rule. */
const erf = (x: number) => {
  const count = 2000
  const height = (i: number) => Math.exp(-(((i * x) / count) ** 2)) * (i === 0 || i === count ? 1 : i % 2 === 1 ? 4 : 2)
  let sum = 0
  for (let i = 0; i <= count; i++) sum += height(i)
  return (2 / Math.sqrt(Math.PI)) * sum * (x / count / 3)
}

const formulas: Record<Activation, (x: number) => number> = {
  relu: (x) => Math.max(x, 0),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  'gelu-tanh': (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  'gelu-sigmoid': (x) => x * sigmoid(1.702 * x),
  silu: (x) => x * sigmoid(x),
  sigmoid,
  tanh: Math.tanh,
  'leaky-relu': (x) => (x > 0 ? x : 0.01 * x),
  'squared-relu': (x) => Math.max(x, 0) ** 2,
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  celu: (x) => (x > 0 ? x : Math.expm1(x)),
  selu: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  mish: (x) => x * Math.tanh(softplus(x)),
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  'log-sigmoid': (x) => -softplus(-x),
  'hard-sigmoid': (x) => Math.min(Math.max(x / 6 + 0.5, 0), 1),
  'hard-swish': (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
  'hard-tanh': (x) => Math.min(Math.max(x, -1), 1),
}

const inputs = [-7, -3, -1.5, -0.25, 0, 0.5, 2, 3.5, 8]
for (const [name, formula] of Object.entries(formulas)) {
  test(`${name} is its formula`, async () => {
    const values = await new Activate(name as Activation).forward(tensor(inputs)).data()
    for (const [i, value] of values.entries()) {
      expect(Math.abs(value - formula(inputs[i]!)), `at ${inputs[i]}`).toBeLessThan(3e-5)
    }
    expect(activate(tensor(inputs), name as Activation).shape).toEqual([9])
  })
}

test('PRelu has a slope for each channel of its axis', async () => {
  const layer = new PRelu(2, 1)
  layer.slope = tensor([0.5, -1])
  expect([
    ...(await layer
      .forward(
        tensor([
          [
            [-2, 2],
            [-3, 3],
          ],
        ]),
      )
      .data()),
  ]).toEqual([-1, 2, 3, 3])
  expect(Object.keys(layer.parameters())).toEqual(['slope'])
})

test('GatedMlp multiplies by its gate', async () => {
  const layer = new GatedMlp(1, 1, { key: randomKey(0) })
  layer.gate.weight = tensor([[2]])
  layer.expansion.weight = tensor([[3]])
  layer.projection.weight = tensor([[0.5]])
  expect(await layer.forward(tensor([[0.7]])).item()).toBeCloseTo(0.5 * 1.4 * sigmoid(1.4) * 2.1, 5)
  expect(layer.parameterCount).toBe(3)
})
