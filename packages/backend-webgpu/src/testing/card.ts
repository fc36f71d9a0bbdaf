import type { Kernel } from '@tessera/core'

/** Kernels with the shaders that a graphics card would get: with invocations that share rows, columns and tiles. */
export const cardKernels = (kernels: readonly Kernel[]): Kernel[] =>
  kernels.map(
    (kernel): Kernel => ({
      ...kernel,
      build: (...given) => {
        const program = (kernel as Kernel<'fused', 'webgpu'>).build(
          ...(given as Parameters<Kernel<'fused', 'webgpu'>['build']>),
        )
        return ((environment, memory) =>
          program({ ...environment, features: { ...environment.features, software: false } }, memory)) as typeof program
      },
    }),
  )
