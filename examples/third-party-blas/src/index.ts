import { availableParallelism } from 'node:os'
import {
  createHostBackend,
  type Kernel,
  type Plugin,
  type ReferenceKernelProgram,
  referenceKernels,
} from '@tessera/core'
import { convolutionKernels } from './convolution.ts'
import { loadBlas } from './library.ts'
import { matmulKernel } from './matmul.ts'

declare module '@tessera/core' {
  interface BackendPrograms {
    blas: ReferenceKernelProgram
  }
}

export interface BlasOptions {
  /** File of the library, or a name that the dynamic linker knows; by default OpenBLAS under its usual names. */
  readonly path?: string
  /** Threads of OpenBLAS; by default one for each processor. */
  readonly threads?: number
}

/** What the kernels of the reference backend reach: their costs follow from it. */
const hostLimits = { gigaflops: 0.1, gigabytesPerSecond: 1, microsecondsPerCall: 2 }

/**
 * A backend that multiplies matrices, and convolves, with the system's OpenBLAS. Everything else runs on the kernels of the reference
 * backend.
 *
 * @example
 * const runtime = await createRuntime({ use: [blas({ threads: 1 })] })
 */
export function blas({ path, threads = availableParallelism() }: BlasOptions = {}): Plugin {
  const loaded = loadBlas(path)
  if ('unavailable' in loaded) {
    return { name: 'blas', apiVersion: 1, backends: [{ name: 'blas', open: () => loaded }] }
  }
  loaded.setThreads(threads)
  const host = createHostBackend({ name: 'blas', variant: 'openblas', threads, limits: hostLimits })
  const others = referenceKernels.map(
    (kernel): Kernel => ({ ...kernel, name: kernel.name.replace('reference', 'blas/host'), backend: 'blas' }),
  )
  return {
    name: 'blas',
    apiVersion: 1,
    backends: [host],
    kernels: [matmulKernel(loaded, threads) as Kernel, ...convolutionKernels(loaded, threads), ...others],
  }
}
