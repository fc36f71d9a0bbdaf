import type { Plugin } from '@tessera/core'
import { sparseAttentionPlugin } from '../plugin.ts'
import { sparseAttentionKernels } from './kernels.ts'

/** Keeps the declaration of the backend's programs in this package's types. */
export type { WasmKernelProgram } from '@tessera/backend-wasm'
export { sparseAttentionKernels } from './kernels.ts'

/**
 * Sparse attention with its kernels for the backend `wasm`: block-sparse tiles forward and backward that keep no matrix of scores, and decoding that reads
 * only the keys that a pattern shows.
 *
 * @example
 * ```ts
 * import { createRuntime, randomKey, randomNormal } from '@tessera/core'
 * import { wasm } from '@tessera/backend-wasm'
 * import { sparseAttention, strided } from '@tessera/kernel-sparse-attention'
 * import { sparseAttentionWasm } from '@tessera/kernel-sparse-attention/wasm'
 * const runtime = await createRuntime({ use: [wasm(), sparseAttentionWasm()] })
 * const x = randomNormal(randomKey(1), [2, 4096, 16])
 * const mixed = sparseAttention(x, x, x, strided(64))
 * console.log((await mixed.data()).length) // 131072
 * await runtime.close()
 * ```
 */
export const sparseAttentionWasm = (): Plugin => ({
  ...sparseAttentionPlugin(),
  requires: ['wasm'],
  kernels: sparseAttentionKernels,
})
