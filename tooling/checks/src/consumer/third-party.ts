/** A backend and a kernel of someone else, made and tested with nothing but the packed packages. */
import {
  createHostBackend,
  type Kernel,
  type Plugin,
  type ReferenceKernelProgram,
  referenceKernels,
  sizeOf,
} from '@tessera/core'
import {
  collectTests,
  failuresOf,
  type KernelTestCall,
  opTests,
  randomStorage,
  testBackend,
  testKernel,
  testOp,
} from '@tessera/core/testing'

declare module '@tessera/core' {
  interface BackendPrograms {
    thirdParty: ReferenceKernelProgram
  }
}

/** Matrix products in float32, row by row of the second matrix, for row-major matrices without batches. */
const rowwiseMatmul: Kernel<'matmul', 'thirdParty'> = {
  name: 'third-party/rowwise-matmul',
  op: 'matmul',
  backend: 'thirdParty',
  tolerance: 1e-6,
  cost({ inputs: [a, b], outputs: [c] }) {
    const fits = [a!, b!, c!].every(
      ({ dtype, view }) => dtype === 'f32' && view.shape.length === 2 && view.strides[1] === 1,
    )
    return fits ? 1 + sizeOf(c!.view.shape) * a!.view.shape[1]! * 1e-4 : undefined
  },
  build({ inputs: [a, b], outputs: [c] }) {
    const [rows, depth] = a!.view.shape as [number, number]
    const columns = b!.view.shape[1]!
    return ([left, right], [result]) => {
      for (let i = 0; i < rows; i++) {
        const to = c!.view.offset + i * c!.view.strides[0]!
        const sums = new Float32Array(columns)
        for (let k = 0; k < depth; k++) {
          const factor = left![a!.view.offset + i * a!.view.strides[0]! + k]!
          const from = b!.view.offset + k * b!.view.strides[0]!
          for (let j = 0; j < columns; j++) sums[j] = sums[j]! + factor * right![from + j]!
        }
        for (let j = 0; j < columns; j++) result![to + j] = sums[j]!
      }
    }
  },
}

const backend = createHostBackend({
  name: 'thirdParty',
  variant: 'plain',
  limits: { gigaflops: 0.1, gigabytesPerSecond: 1, microsecondsPerCall: 2 },
})
const kernels: readonly Kernel[] = [
  rowwiseMatmul,
  ...referenceKernels.map(
    (kernel): Kernel => ({
      ...kernel,
      backend: 'thirdParty',
      cost: (call, limits) => (kernel.cost(call, limits) ?? 0) + 1e3,
    }),
  ),
]
const plugin: Plugin = { name: 'third-party', apiVersion: 1, backends: [backend], kernels }

const product = (rows: number, depth: number, columns: number): KernelTestCall => ({
  name: `${rows} × ${depth} × ${columns}`,
  scale: Math.sqrt(depth),
  write: (program, random) => {
    const [a, b] = [program.input('f32', [rows, depth]), program.input('f32', [depth, columns])]
    program.call('matmul', {}, [a, b], [program.output('f32', [rows, columns])])
    return [randomStorage(random, 'f32', rows * depth), randomStorage(random, 'f32', depth * columns)]
  },
})

const tests = collectTests((run) => {
  testKernel({ kernel: rowwiseMatmul, backend, run, calls: [product(1, 1, 1), product(5, 7, 3), product(33, 17, 65)] })
  testBackend({ backend, kernels, run, capabilities: { formats: ['f32', 'i32', 'u32', 'bool'] } })
  testOp({ ops: opTests, use: [plugin], run, formats: ['f32'] })
})
const failures = await failuresOf(tests)
if (tests.length < 1000 || failures.size > 0) {
  throw new Error(`${failures.size} of ${tests.length} tests fail: ${[...failures.values()].slice(0, 3).join('; ')}`)
}
