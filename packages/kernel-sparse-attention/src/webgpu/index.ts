import type { Plugin } from '@tessera/core'
import { sparseAttentionPlugin } from '../plugin.ts'
import { sparseAttentionWebGpuKernels } from './kernels.ts'

/** Keeps the declaration of the backend's programs in this package's types. */
export type { WebGpuKernelProgram } from '@tessera/backend-webgpu'
export { sparseAttentionWebGpuKernels } from './kernels.ts'

/**
 * Sparse attention with its kernels for the backend `webgpu`, forward, backward and for decoding: they read the keys that a pattern shows and no others, and keep
 * no matrix of scores. Heads must be a multiple of four wide, up to 128; others run through the op's definition.
 *
 * @example
 * ```ts no-run
 * import { createRuntime, randomKey, randomNormal } from '@tessera/core'
 * import { webgpu } from '@tessera/backend-webgpu'
 * import { sparseAttention, strided } from '@tessera/kernel-sparse-attention'
 * import { sparseAttentionWebGpu } from '@tessera/kernel-sparse-attention/webgpu'
 * const runtime = await createRuntime({ use: [webgpu(), sparseAttentionWebGpu()] })
 * const x = randomNormal(randomKey(1), [2, 4096, 16])
 * const mixed = sparseAttention(x, x, x, strided(64))
 * console.log((await mixed.data()).length) // 131072
 * await runtime.close()
 * ```
 */
export const sparseAttentionWebGpu = (): Plugin => ({
  ...sparseAttentionPlugin(),
  requires: ['webgpu'],
  kernels: sparseAttentionWebGpuKernels,
})
