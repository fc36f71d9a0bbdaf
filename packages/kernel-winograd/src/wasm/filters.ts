import { i32, type WasmFunction } from '@tessera/backend-wasm'
import type { Algorithm } from '../algorithms.ts'
import { taps } from '../algorithms.ts'
import { emitSquares, entryBytes } from './lanes.ts'
import { emitToProducts, transformScratchBytes } from './transforms.ts'
import { align, roundUp, spread } from './tuning.ts'
import { wordTable } from './words.ts'

/**
 * Filters become matrices, one for each product: `[row, column]`, rows `rowBytes` apart. Row and column are output and input channels, or for
 * the gradient to the input the other way round. Distances are in bytes.
 */
const words = wordTable(['rows', 'columns', 'filterRow', 'filterColumn', 'rowBytes', 'productStep'] as const)

const parameters = {
  data: 'i32',
  filter: 'i32',
  matrices: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

export interface FilterMatrices {
  readonly rows: number
  readonly columns: number
  /** Bytes from one row, and from one product, to the next. */
  readonly rowBytes: number
  readonly productStep: number
  readonly bytes: number
  readonly threadScratchBytes: number
  readonly words: Int32Array
}

/** Filters `[rows, columns, 3, 3]`, or with `turned` `[columns, rows, 3, 3]`, as matrices. */
export function planFilters({ size }: Algorithm, rows: number, columns: number, turned: boolean): FilterMatrices {
  const rowBytes = 4 * roundUp(columns, 4)
  const productStep = spread(rows * rowBytes)
  const square = 4 * taps * taps
  const [filterRow, filterColumn] = turned ? [square, rows * square] : [columns * square, square]
  return {
    rows,
    columns,
    rowBytes,
    productStep,
    bytes: size * size * productStep,
    threadScratchBytes: align(transformScratchBytes(size) + entryBytes * roundUp(columns, 4)),
    words: words.encode({ rows, columns, filterRow, filterColumn, rowBytes, productStep }),
  }
}

/** The function that transforms filters; threads share the rows. `turned` takes them turned by 180°. */
export function filtersFunction(algorithm: Algorithm, turned: boolean): WasmFunction<typeof parameters> {
  const { size } = algorithm
  const name = `winograd/filters${size}${turned ? 'Turned' : ''}`
  return {
    name,
    parameters,
    define: (module, { variant }) => {
      const squares = emitSquares(module)
      const program = turned ? algorithm.turnedFilter : algorithm.filter
      const transform = emitToProducts(module, 'winogradFilter', variant, program)
      return module.function(name, parameters, 'void', (fn, { data, filter, matrices, scratch, thread, threads }) => {
        const load = (word: Parameters<typeof words.load>[1]) => fn.local('i32', word, words.load(data, word))
        const [rows, columns, filterRow, filterColumn] = [
          load('rows'),
          load('columns'),
          load('filterRow'),
          load('filterColumn'),
        ]
        const [rowBytes, productStep] = [load('rowBytes'), load('productStep')]
        const table = fn.local('i32', 'table', i32.add(scratch, transformScratchBytes(size)))
        const padded = i32.shrU(rowBytes, 2)
        fn.call(squares, { table, count: columns, padded, step: filterColumn, size: taps })
        const to = fn.local('i32', 'to', i32.divU(i32.mul(rows, i32.add(thread, 1)), threads))
        fn.forRange(i32.divU(i32.mul(rows, thread), threads), to, 1, (row) => {
          const plane = fn.local('i32', 'plane', i32.add(filter, i32.mul(row, filterRow)))
          const target = fn.local('i32', 'target', i32.add(matrices, i32.mul(row, rowBytes)))
          const entry = fn.local('i32', 'entry', table)
          fn.forRange(0, rowBytes, 16, (offset) => {
            const given = { table: entry, plane, rowStep: 4 * taps, scratch, productStep }
            fn.call(transform, { ...given, target: i32.add(target, offset) })
            fn.increment(entry, 4 * entryBytes)
          })
        })
      })
    },
  }
}
