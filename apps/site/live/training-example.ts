import { wasm } from '@tessera/backend-wasm'
import { createRuntime, jit, randomKey, splitKey, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { AdamW, Linear, meanSquaredError, Sequential } from '@tessera/nn'

/** Learns exclusive or: the smallest problem that one layer cannot solve. */
export async function run(print: (line: string) => void): Promise<void> {
  const runtime = await createRuntime({ use: [wasm()] })
  print(`${runtime.device.backend}, ${runtime.device.variant}, threads: ${runtime.device.threads}`)
  const [first, second] = splitKey(randomKey(1))
  const model = new Sequential([
    new Linear(2, 16, { key: first!, activation: 'tanh' }),
    new Linear(16, 1, { key: second! }),
  ])
  const optimizer = new AdamW(model, { learningRate: 0.02 })
  const step = jit((network: typeof model, adam: AdamW, x: Tensor, y: Tensor) => {
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
  for (let i = 0; i <= 300; i++) {
    const loss = step(model, optimizer, x, y)
    if (i % 50 === 0) print(`step ${i}: loss ${(await loss.item()).toFixed(5)}`)
  }
  print(`answers: ${[...(await model.forward(x).data())].map((value) => value.toFixed(2)).join(', ')}`)
  await runtime.close()
}
