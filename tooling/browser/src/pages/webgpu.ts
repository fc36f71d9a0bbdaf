/** Runs in the page: what the tests of the backend `webgpu` ask for. */
import { type WebGpuDevice, webGpuKernels, webgpu } from '@tessera/backend-webgpu'
import {
  createRuntime,
  jit,
  type Plugin,
  randomKey,
  referencePlugin,
  type Tensor,
  tensor,
  valueAndGrad,
} from '@tessera/core'
import { collectTests, failuresOf, testBackend } from '@tessera/core/testing'
import { Gpt, generateTokens, gptConfiguration } from '@tessera/models-gpt'
import { AdamW, clipByGlobalNorm, crossEntropy } from '@tessera/nn'

const capabilities = {
  formats: ['f32', 'i32', 'u32', 'i16', 'i8', 'u8', 'bool', 'f16', 'bf16'],
  denormals: false,
} as const
const tolerances = { multiply: { relative: 0, absolute: 2 ** -126 } }

/** Trains a tiny GPT for some steps, then continues a prompt with its cache. */
async function trainAndSample(plugin: Plugin, steps: number) {
  const runtime = await createRuntime({ use: [plugin] })
  const configuration = gptConfiguration({ layers: 1, heads: 2, width: 16, blockSize: 16, vocabularySize: 11 })
  const model = new Gpt(configuration, randomKey(3))
  const optimizer = new AdamW(model, { learningRate: 1e-2 })
  const step = jit((model: Gpt, optimizer: AdamW, tokens: Tensor, targets: Tensor) => {
    const { value, gradients } = valueAndGrad(model, (m) => crossEntropy(m.forward(tokens), targets))
    optimizer.update(model, clipByGlobalNorm(gradients, 1).gradients)
    return value
  })
  const sequence = Int32Array.from({ length: 17 }, (_, i) => (i * i + 3) % 11)
  const tokens = tensor(sequence.subarray(0, 16), [1, 16], 'i32')
  const targets = tensor(sequence.subarray(1), [1, 16], 'i32')
  const losses: number[] = []
  for (let i = 0; i < steps; i++) losses.push(await step(model, optimizer, tokens, targets).item())
  const sampled: number[] = []
  for await (const next of generateTokens(model, sequence.subarray(0, 4), { tokens: 8, temperature: 0 })) {
    sampled.push(...next)
  }
  await runtime.close()
  return { losses, sampled }
}

const checks = {
  async describe() {
    const runtime = await createRuntime({ use: [webgpu()] })
    const { backend, variant } = runtime.device
    const sum = await tensor([1, 2, 3]).multiply(2).sum().item()
    await runtime.close()
    return { backend, variant, sum }
  },

  /** One of `stride` parts of the conformance suite, which begins at test `first`, and the last test, which looks at the memory. */
  async conformance(first: number, stride: number) {
    const backend = webgpu().backends![0]!
    const tests = collectTests((run) => testBackend({ backend, kernels: webGpuKernels, run, capabilities, tolerances }))
    const chosen = tests.filter((_, i) => i % stride === first || i === tests.length - 1)
    return { count: chosen.length, failures: [...(await failuresOf(chosen))] }
  },

  async training(steps: number) {
    return { webgpu: await trainAndSample(webgpu(), steps), reference: await trainAndSample(referencePlugin, steps) }
  },

  /** What is said when the device goes away, and whether another one can be opened. */
  async lost() {
    const runtime = await createRuntime({ use: [webgpu()] })
    const { gpuDevice } = runtime.device as unknown as WebGpuDevice
    gpuDevice.destroy()
    await gpuDevice.lost
    const code = await tensor([1])
      .add(1)
      .data()
      .then(
        () => 'none',
        (error: { code?: string }) => error.code,
      )
    await runtime.close()
    return { code, again: (await checks.describe()).sum }
  },
}
export type Checks = typeof checks

Object.assign(globalThis, { checks })
