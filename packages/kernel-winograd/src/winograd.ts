import type { Kernel, Plugin } from '@tessera/core'
import { winogradF2, winogradF2BackwardInput, winogradF4, winogradF4BackwardInput } from './convolution.ts'
import { winogradF2BackwardFilter, winogradF4BackwardFilter } from './filter-gradient.ts'
import {
  webGpuWinogradF2,
  webGpuWinogradF2BackwardInput,
  webGpuWinogradF4,
  webGpuWinogradF4BackwardInput,
} from './webgpu/convolution.ts'
import { webGpuWinogradF2BackwardFilter, webGpuWinogradF4BackwardFilter } from './webgpu/filter-gradient.ts'

/**
 * Winograd kernels for 3 × 3 convolutions and their gradients on the backends `wasm` and `webgpu` (Lavin & Gray, "Fast Algorithms for Convolutional
 * Neural Networks", 2016). Of those that a runtime's `tolerance` allows, each convolution takes the one that is estimated fastest; small ones
 * stay with the direct kernel.
 *
 * @example
 * ```ts no-run
 * import { createRuntime } from '@tessera/core'
 * import { wasm } from '@tessera/backend-wasm'
 * import { winograd } from '@tessera/kernel-winograd'
 * const runtime = await createRuntime({ use: [wasm(), winograd()] })
 * ```
 */
export function winograd(): Plugin {
  const kernels: readonly Kernel[] = [
    winogradF2,
    winogradF4,
    winogradF2BackwardInput,
    winogradF4BackwardInput,
    winogradF2BackwardFilter,
    winogradF4BackwardFilter,
    webGpuWinogradF2,
    webGpuWinogradF4,
    webGpuWinogradF2BackwardInput,
    webGpuWinogradF4BackwardInput,
    webGpuWinogradF2BackwardFilter,
    webGpuWinogradF4BackwardFilter,
  ] as never
  return { name: 'winograd', apiVersion: 1, requires: [['wasm', 'webgpu']], kernels }
}
