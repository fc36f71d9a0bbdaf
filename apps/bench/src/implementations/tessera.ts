import { wasm } from '@tessera/backend-wasm'
import { webgpu } from '@tessera/backend-webgpu'
import { createRuntime, jit, matmul, type Plugin, type Runtime, type Tensor, tensor } from '@tessera/core'
import { winograd } from '@tessera/kernel-winograd'
import type { BenchmarkCase } from '../cases/case.ts'
import { type MatmulCase, matmulOperands } from '../cases/matmul.ts'
import type { Implementation, ImplementationOptions, PreparedCase } from './implementation.ts'
import { packageVersion } from './library.ts'
import { prepareConv2d } from './tessera-conv2d.ts'
import { prepareGptDecode } from './tessera-gpt-decode.ts'
import { prepareGptStep } from './tessera-gpt-step.ts'
import { prepareOp } from './tessera-op.ts'
import { prepareVgg } from './tessera-vgg.ts'

/** Tessera on its WASM backend, whose kernels the variant names, or on WebGPU. */
export function createTessera(options: ImplementationOptions): Implementation {
  return create('tessera', options, [])
}

/** The same with Winograd kernels for 3 × 3 convolutions. It has nothing of its own for a token of a GPT. */
export function createTesseraWinograd(options: ImplementationOptions): Implementation {
  return create('tessera-winograd', options, [winograd()])
}

function create(name: string, { variant, threads }: ImplementationOptions, plugins: readonly Plugin[]): Implementation {
  let runtime: Runtime
  const openWebGpu = async (): Promise<string | undefined> => {
    try {
      runtime = await createRuntime({ use: [webgpu(), ...plugins] })
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return {
    name,
    get version() {
      return packageVersion('@tessera/core')
    },
    async available() {
      if (variant === 'webgpu') return openWebGpu()
      // `wide` goes by its own option, which also turns V8's revectoriser on.
      const choice = variant === 'wide' ? { wide: true } : { variant: variant as 'plain' | 'relaxed' }
      runtime = await createRuntime({ use: [wasm({ ...choice, threads }), ...plugins] })
      const { device } = runtime
      if (device.variant !== variant) return `the backend runs its ${device.variant} kernels here`
      if (device.threads !== threads) return `the backend runs ${device.threads} threads here, not ${threads}`
      return undefined
    },
    async prepare(benchmarkCase) {
      if (plugins.length > 0 && benchmarkCase.kind === 'gpt-decode') return undefined
      runtime.makeCurrent()
      const prepared = prepareCase(runtime, benchmarkCase)
      // In a page, other runtimes take turns with this one.
      return prepared && { ...prepared, run: () => within(prepared.run), output: () => within(prepared.output) }
    },
  }

  function within<Result>(compute: () => Result): Result {
    runtime.makeCurrent()
    return compute()
  }
}

function prepareCase(runtime: Runtime, benchmarkCase: BenchmarkCase): PreparedCase | undefined {
  if (benchmarkCase.kind === 'matmul') return prepareMatmul(runtime, benchmarkCase)
  if (benchmarkCase.kind === 'conv2d') return prepareConv2d(runtime, benchmarkCase)
  if (benchmarkCase.kind === 'vgg') return prepareVgg(runtime, benchmarkCase)
  if (benchmarkCase.kind === 'op') return prepareOp(runtime, benchmarkCase)
  if (benchmarkCase.kind === 'gpt-step') return prepareGptStep(runtime, benchmarkCase)
  if (benchmarkCase.kind === 'gpt-decode') return prepareGptDecode(runtime, benchmarkCase)
  return undefined
}

function prepareMatmul(runtime: Runtime, benchmarkCase: MatmulCase): PreparedCase {
  const { transposeA, transposeB } = benchmarkCase
  const { a, b, shapeA, shapeB } = matmulOperands(benchmarkCase)
  const left = tensor(a, shapeA)
  const right = tensor(b, shapeB)
  const product = jit((x: Tensor, y: Tensor) => matmul(transposeA ? x.transpose() : x, transposeB ? y.transpose() : y))
  return {
    run: () => product(left, right).dispose(),
    settle: () => runtime.synchronize(),
    async output() {
      const result = product(left, right)
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
