import { wasm } from '@tessera/backend-wasm'
import { type BackendName, createRuntime, type Plugin, randomKey, type Tensor, tensor } from '@tessera/core'
import { AdamW, Mlp, meanSquaredError, trainingStep } from '@tessera/nn'

interface Batch {
  inputs: Tensor
  targets: Tensor
}

/** Teaches exclusive or to a small network: from tensors to optimizer steps in the packages as installed. */
async function train(name: BackendName, use: readonly Plugin[]): Promise<number[]> {
  const runtime = await createRuntime({ use })
  if (runtime.device.backend !== name) throw new Error(`${runtime.device.backend} was opened, expected ${name}`)
  const inputs = tensor([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ])
  const targets = tensor([[0], [1], [1], [0]])
  const model = new Mlp([2, 8, 1], { key: randomKey(1), activation: 'tanh' })
  const optimizer = new AdamW(model, { learningRate: 0.05 })
  const step = trainingStep((network: Mlp, batch: Batch) =>
    meanSquaredError(network.forward(batch.inputs), batch.targets),
  )
  const losses: number[] = []
  for (let index = 0; index < 200; index += 1) {
    const figures = await step(model, optimizer, undefined, { inputs, targets }).data()
    losses.push(Number(figures[0]))
  }
  await runtime.close()
  return losses
}

const expected = await train('reference', [])
const [first, last] = [expected[0]!, expected.at(-1)!]
if (!(first > 0.2 && last < 0.01)) throw new Error(`the loss went from ${first} to ${last}, expected less than 0.01`)

// The name `wasm` is one that the package adds to those of core: it type-checks only if the declarations merge.
const losses = await train('wasm', [wasm()])
for (const [index, loss] of losses.entries()) {
  const reference = expected[index]!
  if (!(Math.abs(loss - reference) <= 1e-4 + 1e-2 * reference)) {
    throw new Error(`step ${index}: the loss is ${loss} with wasm, ${reference} with the reference backend`)
  }
}
