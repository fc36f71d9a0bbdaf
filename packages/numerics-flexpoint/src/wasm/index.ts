import type { Plugin } from '@tessera/core'
import { integerMatmulOp } from '../integer-matmul.ts'
import { integerMatmulKernel } from './kernel.ts'

/** Keeps the declaration of the backend's programs in this package's types. */
export type { WasmKernelProgram } from '@tessera/backend-wasm'
export { integerMatmulKernel } from './kernel.ts'

/**
 * The product of whole numbers with its kernel for the backend `wasm`: 16-bit multiplications whose products are added in pairs, eight multiply–adds to
 * an instruction of four lanes.
 *
 * @example
 * ```ts
 * import { createRuntime, full } from '@tessera/core'
 * import { wasm } from '@tessera/backend-wasm'
 * import { integerMatmul } from '@tessera/numerics-flexpoint'
 * import { integerMatmulWasm } from '@tessera/numerics-flexpoint/wasm'
 * const runtime = await createRuntime({ use: [wasm(), integerMatmulWasm()] })
 * const matrix = full([100, 100], -128, 'i8')
 * console.log((await integerMatmul(matrix, matrix).data())[0]) // 1638400
 * await runtime.close()
 * ```
 */
export const integerMatmulWasm = (): Plugin => ({
  name: 'integer-matmul',
  apiVersion: 1,
  requires: ['wasm'],
  ops: [integerMatmulOp],
  kernels: [integerMatmulKernel],
})
