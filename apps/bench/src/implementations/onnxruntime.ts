import type { InferenceSession } from 'onnxruntime-web'
import { type MatmulCase, matmulOperands } from '../cases/matmul.ts'
import type { Implementation, ImplementationOptions, PreparedCase } from './implementation.ts'
import { packageVersion, tryImport } from './library.ts'
import { prepareOnnxConv2d } from './onnx-conv2d.ts'
import { prepareGptDecode } from './onnx-gpt-decode.ts'
import { encodeOnnxModel } from './onnx-model.ts'
import { prepareOnnxOp } from './onnx-op.ts'
import { prepareOnnxVgg } from './onnx-vgg.ts'
import { loadOnnxWebGpu, type OnnxOnWebGpu } from './onnxruntime-webgpu.ts'

export type Library = Pick<typeof import('onnxruntime-web'), 'InferenceSession' | 'Tensor'>

/** onnxruntime-web's WASM provider; its tensors live in JavaScript, so each run copies them in and out. Or its WebGPU provider, whose stay on the device. */
export function createOnnxRuntimeWeb({ variant, threads }: ImplementationOptions): Implementation {
  if (variant === 'webgpu') return createOnWebGpu()
  const load = async (): Promise<Library> => {
    const library = await import('onnxruntime-web')
    library.env.wasm.numThreads = threads
    return library
  }
  return createOnnxRuntime('onnxruntime-web', load, { executionProviders: ['wasm'] })
}

function createOnWebGpu(): Implementation {
  let provider: OnnxOnWebGpu
  const load = async (): Promise<Library> => {
    provider = await loadOnnxWebGpu()
    return provider.library
  }
  const implementation = createOnnxRuntime('onnxruntime-web', load, { executionProviders: ['webgpu'] })
  return {
    ...implementation,
    get version() {
      return implementation.version
    },
    async prepare(benchmarkCase) {
      if (benchmarkCase.kind === 'gpt-decode') return undefined
      const prepared = await implementation.prepare(benchmarkCase)
      return prepared && provider.prepared(prepared)
    },
  }
}

/** onnxruntime's native CPU provider. */
export function createOnnxRuntimeNode({ threads }: ImplementationOptions): Implementation {
  return createOnnxRuntime('onnxruntime-node', () => import('onnxruntime-node'), {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  })
}

function createOnnxRuntime(
  name: string,
  load: () => Promise<Library>,
  options: InferenceSession.SessionOptions,
): Implementation {
  let library: Library
  return {
    name,
    get version() {
      return packageVersion(name)
    },
    async available() {
      const loaded = await tryImport(load)
      if ('reason' in loaded) return loaded.reason
      library = loaded.library
      return undefined
    },
    async prepare(benchmarkCase) {
      if (benchmarkCase.kind === 'matmul') return await prepareMatmul(library, benchmarkCase, options)
      if (benchmarkCase.kind === 'conv2d') return await prepareOnnxConv2d(library, benchmarkCase, options)
      if (benchmarkCase.kind === 'vgg') return await prepareOnnxVgg(library, benchmarkCase, options)
      if (benchmarkCase.kind === 'gpt-decode') return await prepareGptDecode(library, benchmarkCase, options)
      return benchmarkCase.kind === 'op' ? await prepareOnnxOp(library, benchmarkCase, options) : undefined
    },
  }
}

async function prepareMatmul(
  { InferenceSession, Tensor }: Library,
  benchmarkCase: MatmulCase,
  options: InferenceSession.SessionOptions,
): Promise<PreparedCase> {
  const { m, n, transposeA, transposeB } = benchmarkCase
  const { a, b, shapeA, shapeB } = matmulOperands(benchmarkCase)
  const model = encodeOnnxModel({
    inputs: [
      { name: 'a', shape: shapeA },
      { name: 'b', shape: shapeB },
    ],
    outputs: [{ name: 'c', shape: [m, n] }],
    nodes: [
      {
        op: 'Gemm',
        inputs: ['a', 'b'],
        outputs: ['c'],
        integers: { transA: Number(transposeA), transB: Number(transposeB) },
      },
    ],
  })
  const session = await InferenceSession.create(model, options)
  const feeds = { a: new Tensor('float32', a, shapeA), b: new Tensor('float32', b, shapeB) }
  return {
    async run() {
      await session.run(feeds)
    },
    async output() {
      const { c } = await session.run(feeds)
      return c!.data as Float32Array
    },
    dispose: () => session.release(),
  }
}
