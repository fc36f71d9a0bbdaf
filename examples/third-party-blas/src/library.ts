import koffi from 'koffi'

/** Names that the dynamic linker knows OpenBLAS by: Debian and Ubuntu, Fedora, macOS (Homebrew), Windows. */
const names = [
  'libopenblas.so.0',
  'libopenblas.so',
  '/opt/homebrew/opt/openblas/lib/libopenblas.dylib',
  '/usr/local/opt/openblas/lib/libopenblas.dylib',
  'libopenblas.dll',
]

/** `c = a · b` for matrices in C's row-major order; `Transposed` operands are stored with their axes swapped. */
export type Multiply<Values> = (
  order: number,
  transposeA: number,
  transposeB: number,
  rows: number,
  columns: number,
  depth: number,
  alpha: number,
  a: Values,
  aStride: number,
  b: Values,
  bStride: number,
  beta: number,
  c: Values,
  cStride: number,
) => void

export const rowMajor = 101
export const columnMajor = 102
export const plain = 111
export const transposed = 112

export interface Blas {
  readonly path: string
  readonly sgemm: Multiply<Float32Array>
  readonly dgemm: Multiply<Float64Array>
  setThreads(threads: number): void
}

/**
 * Loads OpenBLAS.
 *
 * @param path a file or a name that the dynamic linker knows; by default the usual names are tried
 * @returns the functions, or the reason why there are none
 */
export function loadBlas(path?: string): Blas | { readonly unavailable: string } {
  const failures: string[] = []
  for (const name of path === undefined ? names : [path]) {
    try {
      const library = koffi.load(name)
      const sizes = 'int order, int transA, int transB, int m, int n, int k'
      const gemm = (type: string) =>
        `(${sizes}, ${type} alpha, const ${type} *a, int lda, const ${type} *b, int ldb, ${type} beta, ${type} *c, int ldc)`
      return {
        path: name,
        sgemm: library.func(`void cblas_sgemm${gemm('float')}`) as Blas['sgemm'],
        dgemm: library.func(`void cblas_dgemm${gemm('double')}`) as Blas['dgemm'],
        setThreads: library.func('void openblas_set_num_threads(int threads)') as Blas['setThreads'],
      }
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  return {
    unavailable:
      `OpenBLAS could not be loaded (${failures.join('; ')}). Install it, for example with 'apt install libopenblas0', ` +
      `or give the path of the library: blas({ path: '/usr/lib/libopenblas.so' }).`,
  }
}
