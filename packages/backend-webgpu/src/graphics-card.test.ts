import type { Kernel } from '@tessera/core'
import { collectTests, testBackend } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { webGpuKernels } from './kernels/index.ts'
import { softwareAdapters } from './testing/adapters.ts'

/** The shaders that a graphics card would get: with invocations that share rows, columns and tiles. */
const cardKernels = webGpuKernels.map(
  (kernel): Kernel => ({
    ...kernel,
    build: (...given) => {
      const program = (kernel as Kernel<'fused', 'webgpu'>).build(
        ...(given as Parameters<Kernel<'fused', 'webgpu'>['build']>),
      )
      return ((environment, memory) =>
        program({ ...environment, features: { ...environment.features, software: false } }, memory)) as typeof program
    },
  }),
)
const capabilities = { formats: ['f32', 'i32', 'u32', 'bool'], denormals: false } as const

// Barriers are slow on a processor: every fifth test of the suites that these shaders differ in.
const differing = /row bodies|column bodies|> matmul|memory of programs|freed all/

for (const { name, backend, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  describe(`shaders for graphics cards on ${name}`, () => {
    const tests = collectTests((run) => testBackend({ backend, kernels: cardKernels, run, capabilities }))
    const chosen = tests.filter(({ name: test }) => differing.test(test))
    for (const [i, { name: test, test: run }] of chosen.entries()) {
      if (i % 5 === 0 || i === chosen.length - 1) it(test.replace('backend webgpu > ', ''), run)
    }
  })
}
