import { createRuntime, randomKey, tensor } from '@tessera/core'
import { AdamW, Mlp, meanSquaredError, trainingStep } from '@tessera/nn'

/** Teaches exclusive or to a small network: the whole way from tensors to optimizer steps, in packages as installed. */
const runtime = await createRuntime()
const inputs = tensor([
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
])
const targets = tensor([[0], [1], [1], [0]])
const model = new Mlp([2, 8, 1], { key: randomKey(1), activation: 'tanh' })
const optimizer = new AdamW(model, { learningRate: 0.05 })
const step = trainingStep((network: Mlp, batch: { inputs: typeof inputs; targets: typeof targets }) =>
  meanSquaredError(network.forward(batch.inputs), batch.targets),
)

const losses: number[] = []
for (let index = 0; index < 200; index += 1) {
  const figures = await step(model, optimizer, undefined, { inputs, targets }).data()
  losses.push(Number(figures[0]))
}
const [first, last] = [losses[0]!, losses.at(-1)!]
if (!(first > 0.2 && last < 0.01)) throw new Error(`the loss went from ${first} to ${last}, expected less than 0.01`)
await runtime.close()
