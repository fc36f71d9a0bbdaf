import { wasm } from '@tessera/backend-wasm'
import { createRuntime, jit, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { type AdamW, captureCheckpoint, Linear, Module } from '@tessera/nn'

class Model extends Module {
  readonly layer: Linear
  constructor(key: Tensor) {
    super()
    this.layer = new Linear(2, 1, { key })
  }
  forward(x: Tensor): Tensor {
    return this.layer.forward(x)
  }
}

const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
const step = jit((model: Model, adam: AdamW, x: Tensor): Tensor => {
  const { value, gradients } = valueAndGrad(model, (m) => m.forward(x).square().mean())
  adam.update(model, gradients)
  return value
})
const shape: readonly number[] = tensor([[1, 2]]).shape

export { captureCheckpoint, runtime, shape, step }
