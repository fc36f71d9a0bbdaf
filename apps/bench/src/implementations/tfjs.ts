import { type MatmulCase, matmulOperands } from '../cases/matmul.ts'
import type { Implementation, ImplementationOptions, PreparedCase } from './implementation.ts'
import { packageVersion, tryImport } from './library.ts'
import { prepareTfjsOp } from './tfjs-op.ts'

type Library = typeof import('@tensorflow/tfjs-core')

/** TensorFlow.js with its WASM backend. */
export function createTfjs(_options: ImplementationOptions): Implementation {
  let library: Library
  return {
    name: 'tfjs',
    get version() {
      return packageVersion('@tensorflow/tfjs-core')
    },
    async available() {
      const loaded = await tryImport(async () => {
        const core = await import('@tensorflow/tfjs-core')
        await import('@tensorflow/tfjs-backend-wasm')
        // Gradients come with the whole library only; they are registered process-wide.
        await import('@tensorflow/tfjs')
        return core
      })
      if ('reason' in loaded) return loaded.reason
      library = loaded.library
      return (await library.setBackend('wasm')) ? undefined : 'its WASM backend cannot be initialised'
    },
    async prepare(benchmarkCase) {
      if (benchmarkCase.kind === 'matmul') return prepareMatmul(library, benchmarkCase)
      return benchmarkCase.kind === 'op' ? prepareTfjsOp(library, benchmarkCase) : undefined
    },
  }
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
