import { createRuntime, jit, randomKey, splitKey, tensor, valueAndGrad } from '@tessera/core'
import { AdamW, Linear, meanSquaredError, Sequential } from '@tessera/nn'

/** Learns exclusive or with the plugins of a consumer, and says what ran. */
export async function train(plugins) {
  const runtime = await createRuntime({ use: plugins })
  const [first, second] = splitKey(randomKey(1))
  const model = new Sequential([
    new Linear(2, 16, { key: first, activation: 'tanh' }),
    new Linear(16, 1, { key: second }),
  ])
  const optimizer = new AdamW(model, { learningRate: 0.02 })
  const step = jit((network, adam, x, y) => {
    const { value, gradients } = valueAndGrad(network, (m) => meanSquaredError(m.forward(x), y))
    adam.update(network, gradients)
    return value
  })
  const x = tensor([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ])
  const y = tensor([[0], [1], [1], [0]])
  for (let i = 0; i < 300; i++) step(model, optimizer, x, y)
  const answers = [...(await model.forward(x).data())]
  const { backend, variant, threads } = runtime.device
  await runtime.close()
  if (answers.some((answer, i) => Math.abs(answer - [0, 1, 1, 0][i]) > 0.1)) {
    throw new Error(`learned ${answers.join(', ')} instead of 0, 1, 1, 0`)
  }
  return { backend, variant, threads }
}
