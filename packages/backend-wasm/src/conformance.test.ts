import { testBackend } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { wasm, wasmKernels } from './wasm.ts'

for (const variant of ['plain', 'relaxed'] as const) {
  describe(variant, () => {
    testBackend({
      backend: wasm({ variant }).backends![0]!,
      kernels: wasmKernels as never,
      run: { describe, it },
      capabilities: { formats: ['f32', 'i32', 'u32', 'i8', 'u8', 'bool'], denormals: false },
    })
  })
}
