import type { Backend, DeviceBuffer, Executable, SelectedProgram } from '@tessera/core'
import { testBackend } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { WasmDevice } from './device/device.ts'
import { Machine } from './device/machine.ts'
import { wasmFormats } from './fused/operations.ts'
import { wasmKernels } from './kernels/index.ts'
import { optimised, threaded } from './testing/backends.ts'
import { canEnableRevectorizer, supportsThreads, type Variant, variants } from './variant.ts'
import { wasm } from './wasm.ts'

const capabilities = { formats: wasmFormats, products: ['f32'], denormals: false } as const

const conformance = (name: string, backend: Backend): void => {
  describe(name, () => testBackend({ backend, kernels: wasmKernels, run: { describe, it }, capabilities }))
}

for (const variant of variants) {
  if (variant === 'wide' && !canEnableRevectorizer()) continue
  const backend = wasm({ variant, threads: 1 }).backends![0]!
  conformance(`${variant}, one thread`, variant === 'wide' ? optimised(backend) : backend)
  if (!supportsThreads()) continue
  for (const threads of [2, 3]) conformance(`${variant}, ${threads} threads`, threaded(variant, threads))
}

/** Plays several threads, the last one first: every step is entered by one after the other. */
class PlayedDevice extends WasmDevice {
  override compile(program: SelectedProgram<'wasm'>): ReturnType<WasmDevice['compile']> {
    const executable = super.compile(program)
    const played: Pick<Executable, 'run'> = {
      run: (buffers: readonly DeviceBuffer[]) => {
        executable.profileSteps(buffers, (runStep) => {
          for (let thread = this.threads - 1; thread >= 0; thread--) runStep(thread, this.threads)
        })
      },
    }
    executable.run = played.run
    return executable
  }
}

const playing = (variant: Variant, shared: boolean): Backend => ({
  name: 'wasm',
  open: () => new PlayedDevice(new Machine(variant, { shared, threads: 3, maximumBytes: 2 ** 28 })),
})
conformance('relaxed, three threads in turn', playing('relaxed', supportsThreads()))
