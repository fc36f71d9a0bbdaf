import { type Variant, wasm } from '@tessera/backend-wasm'
import { createRuntime, jit, randomKey, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { crossEntropy } from '@tessera/nn'
import { expect, it } from 'vitest'
import { ResNet } from './networks.ts'

const batch = 4

/** After so many runs, code of the optimising compiler has taken over; it alone joins vectors. */
const runs = 6

/** Gradients of a residual network of eight layers. */
async function gradientsOn(variant: Variant): Promise<Record<string, Float32Array>> {
  const runtime = await createRuntime({ use: [wasm({ threads: 1, variant })] })
  const model = new ResNet(8, randomKey(1))
  const images = tensor(
    Uint8Array.from({ length: batch * 3072 }, (_, i) => i * 7919 + (i >> 3) * 31),
    [batch, 3, 32, 32],
  )
  const labels = tensor(new Int32Array([0, 1, 2, 3]))
  const step = jit((network: ResNet, x: Tensor, y: Tensor) =>
    valueAndGrad(network.parameters(), () => crossEntropy(network.forward(x), y)),
  )
  const values: Record<string, Float32Array> = {}
  for (let run = 0; run < runs; run++) {
    const { gradients } = step(model, images, labels)
    for (const [name, gradient] of Object.entries(gradients)) values[name] = (await gradient.data()) as Float32Array
  }
  await runtime.close()
  return values
}

it('has the same gradients with wide vectors', async () => {
  const expected = await gradientsOn('relaxed')
  for (const [name, values] of Object.entries(await gradientsOn('wide'))) {
    const scale = expected[name]!.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const off = values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[name]![i]!)), 0)
    expect(off / scale, name).toBeLessThan(1e-3)
  }
})
