import { createRuntime, type Kernel, type Plugin, referencePlugin, type Tensor, tensor } from '@tessera/core'
import { assertClose, createRandom, randomStorage } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import type { WebGpuDevice } from './device/device.ts'
import { webGpuKernels } from './kernels/index.ts'
import type { WebGpuFeatures } from './program/contract.ts'
import { softwareAdapters } from './testing/adapters.ts'

/** Kernels that see other features than the adapter's. */
const seeing = (change: Partial<WebGpuFeatures>): readonly Kernel[] =>
  webGpuKernels.map((kernel) => ({
    ...kernel,
    build: (...given) => {
      const { build } = kernel as Kernel<'fused', 'webgpu'>
      const program = build(...(given as Parameters<typeof build>))
      return ((environment, memory) =>
        program({ ...environment, features: { ...environment.features, ...change } }, memory)) as typeof program
    },
  }))

/** The result of a function, and the shaders that computed it. */
async function run(plugin: Plugin, kernels: readonly Kernel[] | undefined, compute: () => Tensor) {
  const lines: string[] = []
  const use = kernels ? { name: 'changed', apiVersion: 1, backends: plugin.backends!, kernels } : plugin
  const runtime = await createRuntime({ use: [use as Plugin], debug: 4, log: (line) => lines.push(line) })
  const values = await compute().data()
  await runtime.close()
  return { values, shaders: lines.filter((line) => line.includes('@compute')).join('\n') }
}

/** The same numbers on every backend, so that they round to the same halves. */
const normal = (seed: number, shape: number[]) =>
  tensor(
    randomStorage(
      createRandom(seed),
      'f32',
      shape.reduce((size, extent) => size * extent),
    ) as Float32Array,
    shape,
  )
/** Rows of more elements than a subgroup has invocations, with two reductions, one after the other. */
const rows = () => normal(1, [3, 131]).softmax()
const halves = () =>
  normal(3, [70, 36])
    .cast('f16')
    .matmul(normal(4, [36, 132]).cast('f16'))
    .cast('f32')
const halfLoops = () => normal(5, [6, 31]).cast('f16').realize().exp().add(1).realize().cast('f32')

for (const { name, backend, plugin, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  const features = async (): Promise<WebGpuFeatures> => {
    const device = (await backend.open()) as unknown as WebGpuDevice
    const { features: found } = device.environment
    await device.close()
    return found
  }
  describe(`features of ${name}`, () => {
    it('reduces rows by subgroups on graphics cards that have them', async ({ skip }) => {
      const { subgroups } = await features()
      if (!subgroups) skip(`${name} has no subgroups`)
      const expected = await run(referencePlugin, undefined, rows)
      const shuffled = await run(plugin, seeing({ software: false }), rows)
      expect(shuffled.shaders).toContain('subgroupShuffleXor')
      assertClose(shuffled.values, expected.values, { relative: 1e-4, absolute: 1e-4 }, 'by subgroups')
      const plain = await run(plugin, seeing({ software: false, subgroups: false }), rows)
      expect(plain.shaders).not.toContain('subgroup')
      assertClose(plain.values, expected.values, { relative: 1e-4, absolute: 1e-4 }, 'as a tree')
    })

    it('keeps halves as halves in memory and tiles', async ({ skip }) => {
      const { f16 } = await features()
      if (!f16) skip(`${name} has no shader-f16`)
      for (const compute of [halves, halfLoops]) {
        const expected = await run(referencePlugin, undefined, compute)
        for (const change of [{}, { software: false }, { f16: false }]) {
          const actual = await run(plugin, seeing(change), compute)
          expect(actual.shaders.includes('enable f16;')).toBe(!('f16' in change))
          assertClose(actual.values, expected.values, { relative: 1e-3, absolute: 1e-3 }, JSON.stringify(change))
        }
      }
    })
  })
}
