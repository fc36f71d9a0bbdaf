import { type MatmulCase, matmulOperands } from '../cases/matmul.ts'
import type { Implementation, ImplementationOptions, PreparedCase } from './implementation.ts'

/** What a program without a library would write: loops over typed arrays, in the order that reads along rows. */
export function createJavaScript(_options: ImplementationOptions): Implementation {
  return {
    name: 'javascript',
    version: process.version,
    available: async () => undefined,
    prepare: async (benchmarkCase) => (benchmarkCase.kind === 'matmul' ? prepareMatmul(benchmarkCase) : undefined),
  }
}

function prepareMatmul(benchmarkCase: MatmulCase): PreparedCase {
  const { a, b } = matmulOperands(benchmarkCase)
  const c = new Float32Array(benchmarkCase.m * benchmarkCase.n)
  const product = benchmarkCase.transposeB ? multiplyByColumns : multiplyByRows
  return {
    run: () => product(benchmarkCase, a, b, c),
    async output() {
      product(benchmarkCase, a, b, c)
      return c
    },
  }
}

/** B is [k, n]: adds multiples of its rows to a row of C. */
function multiplyByRows({ m, n, k, transposeA }: MatmulCase, a: Float32Array, b: Float32Array, c: Float32Array): void {
  c.fill(0)
  for (let row = 0; row < m; row++) {
    for (let inner = 0; inner < k; inner++) {
      const factor = transposeA ? a[inner * m + row]! : a[row * k + inner]!
      for (let column = 0; column < n; column++) c[row * n + column]! += factor * b[inner * n + column]!
    }
  }
}

/** B is [n, k]: each element of C is a dot product along a row of B. */
function multiplyByColumns(
  { m, n, k, transposeA }: MatmulCase,
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
): void {
  const strideRow = transposeA ? 1 : k
  const strideInner = transposeA ? m : 1
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 0
      for (let inner = 0; inner < k; inner++) sum += a[row * strideRow + inner * strideInner]! * b[column * k + inner]!
      c[row * n + column] = sum
    }
  }
}
