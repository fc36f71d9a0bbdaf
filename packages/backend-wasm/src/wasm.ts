import type { Backend, Device, Kernel, Plugin, Unavailable } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { WasmDevice } from './device/device.ts'
import { Machine } from './device/machine.ts'
import { fusedKernel } from './kernels/fused.ts'
import { matmulKernel } from './kernels/matmul.ts'
import { gatherKernel } from './kernels/gather.ts'
import { scatterKernel } from './kernels/scatter.ts'
import type { WasmKernelProgram } from './program/contract.ts'
import { chooseVariant, supportsSimd, supportsThreads, type Variant, variants } from './variant.ts'

declare module '@tessera/core' {
  interface BackendPrograms {
    wasm: WasmKernelProgram
  }
}

/** Options of `wasm`. */
export interface WasmOptions {
  /** How kernels are written; by default the best that the engine has, but `wide` only on request. */
  readonly variant?: Variant
  readonly wide?: boolean
  readonly maximumMemoryBytes?: number
}

export const wasmKernels: readonly Kernel<never, 'wasm'>[] = [fusedKernel, matmulKernel, gatherKernel, scatterKernel] as unknown as readonly Kernel<never, 'wasm'>[]

export function wasm(options: WasmOptions = {}): Plugin {
  const backend: Backend<'wasm'> = {
    name: 'wasm',
    async open(): Promise<Device<'wasm'> | Unavailable> {
      if (!supportsSimd()) return { unavailable: 'the JavaScript engine has no WebAssembly SIMD' }
      const variant = options.variant ?? (await chooseVariant({ wide: options.wide ?? false }))
      return new WasmDevice(new Machine(variant, { shared: false, threads: 1 }))
    },
  }
  return { name: 'wasm', apiVersion: 1, backends: [backend as unknown as Backend], kernels: wasmKernels as unknown as readonly Kernel[] }
}
void supportsThreads; void variants; void TesseraError
