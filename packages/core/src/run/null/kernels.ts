import type { OpName } from '../../graph/operations.ts'
import type { Kernel } from '../../plugin/contract.ts'

/**
 * Kernels that take any call of the given ops at no cost and do nothing.
 *
 * @example
 * ```ts no-run
 * createRuntime({ use: [{ name: 'null', apiVersion: 1, backends: [nullBackend], kernels: nullKernels(['fused', 'matmul']) }] })
 * ```
 */
export function nullKernels(ops: readonly OpName[] = ['fused', 'matmul', 'gather', 'scatter']): readonly Kernel[] {
  return ops.map(
    (op): Kernel<OpName, 'null'> => ({
      name: `null/${op}`,
      op,
      backend: 'null',
      tolerance: 0,
      layouts: 'any',
      epilogues: true,
      cost: () => 0,
      build: () => null,
    }),
  )
}
