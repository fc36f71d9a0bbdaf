import type { Variant } from '@tessera/backend-wasm'
import { createRuntime, type Runtime } from '@tessera/core'
import { UsageError } from './usage-error.ts'

export const backendNames = ['wasm', 'webgpu', 'reference'] as const
export const variantNames = ['plain', 'relaxed', 'wide'] as const satisfies readonly Variant[]

export interface RuntimeChoice {
  readonly backend?: (typeof backendNames)[number]
  readonly variant?: Variant
  readonly threads?: number
}

/** Opens a backend; by default wasm with the fastest code that the machine runs. */
export async function openRuntime({ backend = 'wasm', variant, threads }: RuntimeChoice): Promise<Runtime> {
  if (backend !== 'wasm' && variant !== undefined)
    throw new UsageError(`--variant chooses code of the wasm backend. Leave it out with --backend ${backend}.`)
  if (backend === 'reference') return createRuntime()
  if (backend === 'webgpu') {
    const { webgpu } = await import('@tessera/backend-webgpu')
    const { sparseAttentionWebGpu } = await import('@tessera/kernel-sparse-attention/webgpu')
    return createRuntime({ use: [webgpu(), sparseAttentionWebGpu()] })
  }
  const { wasm } = await import('@tessera/backend-wasm')
  const { sparseAttentionWasm } = await import('@tessera/kernel-sparse-attention/wasm')
  const runtime = await createRuntime({
    use: [
      sparseAttentionWasm(),
      wasm({
        ...(variant === undefined || variant === 'wide' ? { wide: true } : { variant }),
        ...(threads !== undefined && { threads }),
      }),
    ],
  })
  if (variant !== undefined && runtime.device.variant !== variant) {
    await runtime.close()
    throw new UsageError(
      `The variant '${variant}' does not run here: it takes Node 24 or later on an x86-64 processor with AVX2. Leave --variant out for the best that runs.`,
    )
  }
  return runtime
}

/** `wasm (wide, 2 threads)`. */
export function describeRuntime({ device }: Runtime): string {
  return `${device.backend} (${device.variant}, ${device.threads} ${device.threads === 1 ? 'thread' : 'threads'})`
}
