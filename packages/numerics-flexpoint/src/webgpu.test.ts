import { existsSync } from 'node:fs'
import { webgpu } from '@tessera/backend-webgpu'
import {
  createRuntime,
  crossEntropyLosses,
  type FormatPolicy,
  jit,
  type Plugin,
  randomKey,
  randomNormal,
  referencePlugin,
  type Tensor,
  valueAndGrad,
} from '@tessera/core'
import { testFormat } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { flexpoint } from './index.ts'
import { formats } from './testing/formats.ts'

/** Comes with Debian's package `chromium`, and must be there in continuous integration. */
const driver = '/usr/lib/chromium/vk_swiftshader_icd.json'
process.env.VK_ICD_FILENAMES ??= driver
const plugin = () => webgpu({ dawnFlags: ['adapter=SwiftShader'] })

interface Network {
  first: Tensor
  second: Tensor
}

async function losses(use: Plugin, policy: FormatPolicy | undefined): Promise<number[]> {
  const runtime = await createRuntime({ use: [use] })
  const network = {
    first: randomNormal(randomKey(1), [8, 32], 0, 0.3).realize(),
    second: randomNormal(randomKey(2), [32, 4], 0, 0.2).realize(),
  }
  const x = randomNormal(randomKey(3), [64, 8]).realize()
  const labels = x.slice(1, 0, 4).argMax(1).realize()
  const step = jit(
    (net: Network, inputs: Tensor, classes: Tensor) => {
      const { value, gradients } = valueAndGrad(net, ({ first, second }) =>
        crossEntropyLosses(inputs.matmul(first).relu().matmul(second), classes).mean(),
      )
      net.first = net.first.subtract(gradients.first.multiply(0.3))
      net.second = net.second.subtract(gradients.second.multiply(0.3))
      return value
    },
    policy ? { policy } : {},
  )
  const found: number[] = []
  for (let i = 0; i < 15; i++) found.push(await step(network, x, labels).item())
  await runtime.close()
  return found
}

describe.runIf(Boolean(process.env.CI) || existsSync(driver))('on webgpu', () => {
  it.each(['stored', 'simulated'])('flex16+5 trains a network as on the reference, %s', async (way) => {
    const policy = () => flexpoint({ bits: 16, storage: way === 'stored' })
    const [expected, found] = [await losses(referencePlugin, policy()), await losses(plugin(), policy())]
    for (const [i, loss] of expected.entries()) expect(Math.abs(found[i]! - loss)).toBeLessThan(2e-3)
    expect(found.at(-1)!).toBeLessThan(0.9 * found[0]!)
  })

  for (const options of formats) testFormat({ ...options, use: [plugin()], run: { describe, it } })
})
