import type { CaseFamily } from './case.ts'
import { tokenInput, uniformInput } from './inputs.ts'

/**
 * Matrix product C [m, n] = op(A) · op(B). A transposed operand is stored transposed, row-major
 * (A as [k, m], B as [n, k]), and the implementation uses its own transpose flag or op on it.
 */
export interface MatmulCase {
  readonly kind: 'matmul'
  readonly name: string
  readonly m: number
  readonly n: number
  readonly k: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

const seeds = { a: 1, b: 2, positions: 3 } as const

const transposes = ['NN', 'NT', 'TN', 'TT'] as const
const sizes = [64, 128, 256, 512, 1024, 2048]

function matmulCase(
  m: number,
  n: number,
  k: number,
  transpose: (typeof transposes)[number],
  label: string,
): MatmulCase {
  return {
    kind: 'matmul',
    name: `matmul/${label}/${transpose}`,
    m,
    n,
    k,
    transposeA: transpose[0] === 'T',
    transposeB: transpose[1] === 'T',
  }
}

/** Operands of a case as they are stored: A is [m, k] or [k, m], B is [k, n] or [n, k]. */
export function matmulOperands(benchmarkCase: MatmulCase): {
  a: Float32Array<ArrayBuffer>
  b: Float32Array<ArrayBuffer>
  shapeA: [number, number]
  shapeB: [number, number]
} {
  const { m, n, k, transposeA, transposeB } = benchmarkCase
  return {
    a: uniformInput(m * k, seeds.a),
    b: uniformInput(k * n, seeds.b),
    shapeA: transposeA ? [k, m] : [m, k],
    shapeB: transposeB ? [n, k] : [k, n],
  }
}

/** Up to this many results are all compared; above it, a spread of positions is. */
const fullyCheckedSize = 4096
const sampledPositions = 256

function checkedIndices(benchmarkCase: MatmulCase): readonly number[] | undefined {
  const size = benchmarkCase.m * benchmarkCase.n
  if (size <= fullyCheckedSize) return undefined
  // The corners, where tiles are cut off, and positions drawn from the hash.
  const corners = [0, benchmarkCase.n - 1, size - benchmarkCase.n, size - 1]
  return [...corners, ...tokenInput(sampledPositions, seeds.positions, size)]
}

function expected(benchmarkCase: MatmulCase): Float64Array {
  const { m, n, k, transposeA, transposeB } = benchmarkCase
  const { a, b } = matmulOperands(benchmarkCase)
  const indices = checkedIndices(benchmarkCase) ?? Array.from({ length: m * n }, (_, index) => index)
  return Float64Array.from(indices, (index) => {
    const row = Math.floor(index / n)
    const column = index % n
    let sum = 0
    for (let inner = 0; inner < k; inner++) {
      const left = a[transposeA ? inner * m + row : row * k + inner]!
      const right = b[transposeB ? column * k + inner : inner * n + column]!
      sum += left * right
    }
    return sum
  })
}

export const matmulFamily: CaseFamily<MatmulCase> = {
  kind: 'matmul',
  cases: sizes.flatMap((size) => transposes.map((transpose) => matmulCase(size, size, size, transpose, `${size}`))),
  // Three different odd lengths, so that a swapped side or a missing remainder loop cannot pass.
  checks: transposes.map((transpose) => matmulCase(13, 29, 37, transpose, 'check')),
  tolerance: 1e-5,
  work: ({ m, n, k }) => ({ flops: 2 * m * n * k, bytes: 4 * (m * k + k * n + m * n) }),
  checkedIndices,
  expected,
}
