/** A number format and an op of someone else, made and tested with nothing but the packed packages. */
import {
  applyOp,
  clip,
  defineOp,
  exp2,
  formatPolicy,
  jit,
  log2,
  randomKey,
  splitKey,
  type Tensor,
  type TensorFormat,
  tensor,
  valueAndGrad,
  where,
} from '@tessera/core'
import { collectTests, failuresOf, type OpTest, testFormat, testOp } from '@tessera/core/testing'
import { AdamW, Linear, meanSquaredError, Sequential } from '@tessera/nn'

declare module '@tessera/core' {
  interface OpAttributes {
    squareplus: { readonly smoothness: number }
  }
}

/** A sign and eleven bits of logarithm in steps of 1/32: from 2^-32 to 2^32, always about as exact. */
const logarithmic: TensorFormat = {
  name: 'log12',
  bits: 12,
  round(x) {
    const exponent = clip(log2(x.abs()).multiply(32).round().divide(32), -32, 32)
    // What is nearer to nothing than to the smallest number is nothing; NaN stays what it is.
    return { value: where(x.abs().less(2 ** -32.5), x.multiply(0), x.sign().multiply(exp2(exponent))) }
  },
}

/** (x + √(x² + smoothness)) / 2, a ramp without exponentials. */
const squareplus = defineOp({
  op: 'squareplus',
  lower: ([x], { smoothness }) => [x!.add(x!.square().add(smoothness).sqrt()).divide(2)],
})
const squareplusTest: OpTest = {
  op: 'squareplus',
  topic: 'activations',
  formats: ['f32', 'f64'],
  gradient: true,
  spacings: { relative: 8, absolute: 8 },
  cases: [[1], [7], [3, 5], [2, 3, 17]].map((shape) => ({
    name: `[${shape}]`,
    operands: [{ shape }],
    apply: (x) => applyOp(squareplus, [x!], { smoothness: 0.5 })[0]!,
    expected: (x) => ({ shape: x!.shape, data: x!.data.map((value) => (value + Math.sqrt(value * value + 0.5)) / 2) }),
  })),
}

const tests = collectTests((run) => {
  testFormat({ format: logarithmic, error: 2 ** (1 / 64) - 1 + 1e-5, run })
  testOp({ ops: [squareplusTest], run, formats: ['f32', 'f64'] })
})
const failures = await failuresOf(tests)
if (tests.length < 10 || failures.size > 0)
  throw new Error(`${failures.size} of ${tests.length} tests fail: ${[...failures].slice(0, 3).join('; ')}`)

/** Exclusive or, with every weight, activation and gradient in the format. */
const [first, second] = splitKey(randomKey(1)) as [Tensor, Tensor]
const model = new Sequential([
  new Linear(2, 16, { key: first, activation: 'tanh' }),
  new Linear(16, 1, { key: second }),
])
const optimizer = new AdamW(model, { learningRate: 0.02 })
const step = jit(
  (network: typeof model, adam: AdamW, x: Tensor, y: Tensor) => {
    const { value, gradients } = valueAndGrad(network, (m) => meanSquaredError(m.forward(x), y))
    adam.update(network, gradients)
    return value
  },
  { policy: formatPolicy(logarithmic) },
)
const x = tensor([
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
])
const y = tensor([[0], [1], [1], [0]])
let loss = 1
for (let i = 0; i < 300; i++) loss = await step(model, optimizer, x, y).item()
if (!(loss < 0.01)) throw new Error(`training in ${logarithmic.name} ended at a loss of ${loss}`)
