import { testBackend } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { webGpuKernels } from './kernels/index.ts'
import { softwareAdapters } from './testing/adapters.ts'

/** f64 is not among them: shaders have no 64-bit floats. */
const capabilities = {
  formats: ['f32', 'i32', 'u32', 'i16', 'i8', 'u8', 'bool', 'f16', 'bf16'],
  denormals: false,
} as const

// Products below the smallest normal number may be flushed to zero.
const tolerances = { multiply: { relative: 0, absolute: 2 ** -126 } }

for (const { name, backend, driver, isExpected } of softwareAdapters) {
  describe(name, () => {
    if (!isExpected) it(`is left out: there is no driver at ${driver}`, ({ skip }) => skip())
    if (isExpected) testBackend({ backend, kernels: webGpuKernels, run: { describe, it }, capabilities, tolerances })
  })
}
