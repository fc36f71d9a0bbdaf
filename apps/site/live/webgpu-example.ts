import { wasm } from '@tessera/backend-wasm'
import { webgpu } from '@tessera/backend-webgpu'
import { createRuntime, type Plugin, randomKey, randomNormal } from '@tessera/core'

/** A softmax of scores of random vectors: the random bits are the same on every backend. */
async function attentionWeights(plugin: Plugin): Promise<{ device: string; values: Float32Array }> {
  const runtime = await createRuntime({ use: [plugin] })
  const vectors = randomNormal(randomKey(1), [256, 64])
  const weights = vectors.matmul(vectors.transpose()).divide(8).softmax()
  const values = (await weights.data()) as Float32Array
  const { backend, variant } = runtime.device
  await runtime.close()
  return { device: `${backend}, ${variant}`, values }
}

/** The same program on the graphics card and on the processor: one line differs. */
export async function run(print: (line: string) => void): Promise<void> {
  const graphics = await attentionWeights(webgpu())
  print(graphics.device)
  const processor = await attentionWeights(wasm())
  print(processor.device)
  const difference = graphics.values.reduce((most, x, i) => Math.max(most, Math.abs(x - processor.values[i]!)), 0)
  print(`largest difference of ${graphics.values.length} weights: ${difference.toExponential(1)}`)
}
