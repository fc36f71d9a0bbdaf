import { type MatmulCase, matmulOperands } from '../cases/matmul.ts'
import type { Implementation, ImplementationOptions, PreparedCase } from './implementation.ts'
import { prepareJaxJsGptStep } from './jax-js-gpt-step.ts'
import { prepareJaxJsOp } from './jax-js-op.ts'
import { packageVersion, tryImport } from './library.ts'

type Library = typeof import('@jax-js/jax')
type JaxArray = InstanceType<Library['numpy']['Array']>

/** jax-js with its WASM backend, or that for WebGPU, through `jit`. */
export function createJaxJs({ variant }: ImplementationOptions): Implementation {
  let library: Library
  return {
    name: 'jax-js',
    get version() {
      return packageVersion('@jax-js/jax')
    },
    async available() {
      const backend = variant === 'webgpu' ? 'webgpu' : 'wasm'
      if (backend === 'webgpu') (await import('./dawn.ts')).installDawn()
      const loaded = await tryImport(() => import('@jax-js/jax'))
      if ('reason' in loaded) return loaded.reason
      library = loaded.library
      if (!(await library.init(backend)).includes(backend)) return `its backend ${backend} cannot be initialised`
      library.defaultDevice(backend)
      return undefined
    },
    async prepare(benchmarkCase) {
      if (benchmarkCase.kind === 'matmul') return prepareMatmul(library, benchmarkCase)
      if (benchmarkCase.kind === 'gpt-step') return prepareJaxJsGptStep(library, benchmarkCase)
      return benchmarkCase.kind === 'op' ? prepareJaxJsOp(library, benchmarkCase) : undefined
    },
  }
}

function prepareMatmul({ jit, numpy }: Library, benchmarkCase: MatmulCase): PreparedCase {
  const { transposeA, transposeB } = benchmarkCase
  const { a, b, shapeA, shapeB } = matmulOperands(benchmarkCase)
  const left = numpy.array(a).reshape(shapeA)
  const right = numpy.array(b).reshape(shapeB)
  const product = jit((x: JaxArray, y: JaxArray) =>
    numpy.matmul(transposeA ? numpy.transpose(x) : x, transposeB ? numpy.transpose(y) : y),
  )
  return {
    async run() {
      // Functions of jax-js consume their arguments; `ref` keeps the operands.
      const result = product(left.ref, right.ref)
      await result.blockUntilReady()
      result.dispose()
    },
    output: async () => (await product(left.ref, right.ref).data()) as Float32Array,
    dispose() {
      product.dispose()
      left.dispose()
      right.dispose()
    },
  }
}
