import type { BenchmarkCase } from '../cases/case.ts'
import { type MatmulCase, matmulOperands } from '../cases/matmul.ts'
import type { Implementation, ImplementationOptions, PreparedCase } from './implementation.ts'
import { packageVersion, tryImport } from './library.ts'
import { prepareTfjsConv2d } from './tfjs-conv2d.ts'
import { prepareTfjsGptStep } from './tfjs-gpt-step.ts'
import { prepareTfjsOp } from './tfjs-op.ts'
import { prepareTfjsVgg } from './tfjs-vgg.ts'

type Library = typeof import('@tensorflow/tfjs-core')

/** TensorFlow.js with its WASM backend, or that for WebGPU. */
export function createTfjs({ variant }: ImplementationOptions): Implementation {
  let library: Library
  return {
    name: 'tfjs',
    get version() {
      return packageVersion('@tensorflow/tfjs-core')
    },
    async available() {
      const loaded = await tryImport(async () => {
        const core = await import('@tensorflow/tfjs-core')
        if (variant === 'webgpu') await loadWebGpu()
        else await import('@tensorflow/tfjs-backend-wasm')
        // Gradients come with the whole library only; they are registered process-wide.
        await import('@tensorflow/tfjs')
        return core
      })
      if ('reason' in loaded) return loaded.reason
      library = loaded.library
      const backend = variant === 'webgpu' ? 'webgpu' : 'wasm'
      // Small tensors would be computed on the processor.
      if (backend === 'webgpu') library.env().set('WEBGPU_CPU_FORWARD', false)
      return (await library.setBackend(backend)) ? undefined : `its backend ${backend} cannot be initialised`
    },
    async prepare(benchmarkCase) {
      const prepared = prepareCase(library, benchmarkCase)
      return prepared && variant === 'webgpu' ? { ...prepared, settle: () => settleWebGpu(library) } : prepared
    },
  }
}

function prepareCase(library: Library, benchmarkCase: BenchmarkCase): PreparedCase | undefined {
  if (benchmarkCase.kind === 'matmul') return prepareMatmul(library, benchmarkCase)
  if (benchmarkCase.kind === 'conv2d') return prepareTfjsConv2d(library, benchmarkCase)
  if (benchmarkCase.kind === 'vgg') return prepareTfjsVgg(library, benchmarkCase)
  if (benchmarkCase.kind === 'gpt-step') return prepareTfjsGptStep(library, benchmarkCase)
  return benchmarkCase.kind === 'op' ? prepareTfjsOp(library, benchmarkCase) : undefined
}

async function loadWebGpu(): Promise<void> {
  const { installDawn } = await import('./dawn.ts')
  installDawn()
  await import('@tensorflow/tfjs-backend-webgpu')
}

/** Hands over what is recorded and waits for it. */
async function settleWebGpu(library: Library): Promise<void> {
  const backend = library.backend() as unknown as {
    endComputePassEncoder(): void
    submitQueue(): void
    readonly commandEncoder: GPUCommandEncoder | null
    readonly queue: GPUQueue
  }
  backend.endComputePassEncoder()
  // It hands over by itself what has become long.
  if (backend.commandEncoder) backend.submitQueue()
  await backend.queue.onSubmittedWorkDone()
}

function prepareMatmul(library: Library, benchmarkCase: MatmulCase): PreparedCase {
  const { transposeA, transposeB } = benchmarkCase
  const { a, b, shapeA, shapeB } = matmulOperands(benchmarkCase)
  const left = library.tensor2d(a, shapeA)
  const right = library.tensor2d(b, shapeB)
  const product = (): ReturnType<Library['matMul']> => library.matMul(left, right, transposeA, transposeB)
  return {
    run: () => product().dispose(),
    async output() {
      const result = product()
      const values = (await result.data()) as Float32Array
      result.dispose()
      return values
    },
    dispose() {
      left.dispose()
      right.dispose()
    },
  }
}
