import { collectTests, testBackend } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { webGpuKernels } from './kernels/index.ts'
import { softwareAdapters } from './testing/adapters.ts'
import { cardKernels } from './testing/card.ts'

const capabilities = { formats: ['f32', 'i32', 'u32', 'bool'], denormals: false } as const

// Barriers are slow on a processor: every fifth test of the suites that these shaders differ in.
const differing = /row bodies|column bodies|> matmul|memory of programs|freed all/

for (const { name, backend, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  describe(`shaders for graphics cards on ${name}`, () => {
    const tests = collectTests((run) =>
      testBackend({ backend, kernels: cardKernels(webGpuKernels), run, capabilities }),
    )
    const chosen = tests.filter(({ name: test }) => differing.test(test))
    for (const [i, { name: test, test: run }] of chosen.entries()) {
      if (i % 5 === 0 || i === chosen.length - 1) it(test.replace('backend webgpu > ', ''), run)
    }
  })
}
