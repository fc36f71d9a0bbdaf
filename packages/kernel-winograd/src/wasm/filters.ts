import { type Expression, i32, type Local, select, type WasmFunction } from '@tessera/backend-wasm'
import { type MatmulTuning, matmulTuning } from '@tessera/backend-wasm/kernel'
import type { Algorithm } from '../algorithms.ts'
import { taps } from '../algorithms.ts'
import { emitSquares, entryBytes } from './lanes.ts'
import { emitToProducts, transformScratchBytes } from './transforms.ts'
import { align, blockDepth, min, roundUp, spread } from './tuning.ts'
import { wordTable } from './words.ts'

/**
 * Filters become matrices, one for each product, `[block of columns][row of a panel][panel][column]`: first row of all panels, second row of all
 * panels, …. Tiles of the product read a panel's rows side by side, and so as many long streams of memory, which processors fetch ahead of
 * their use best. Rows and columns are output and input channels, or for the gradient to the input the other way round.
 */
export interface FilterMatrices {
  /** Bytes from one product's matrix to the next. */
  readonly productStep: number
  /** Bytes from one block of columns to the next. */
  readonly blockStep: number
  /** Bytes from one row of a panel to the next, in a whole block and in the last one. */
  readonly stream: number
  readonly lastStream: number
  readonly bytes: number
  readonly threadScratchBytes: number
  readonly words: Int32Array
}

const words = /* @__PURE__ */ wordTable([
  'rows',
  'columns',
  'filterRow',
  'filterColumn',
  'productStep',
  'blockStep',
  'stream',
  'lastStream',
] as const)

const parameters = {
  data: 'i32',
  filter: 'i32',
  matrices: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** Filters `[rows, columns, 3, 3]`, or with `turned` `[columns, rows, 3, 3]`, as matrices. */
export function planFilters(
  { size }: Algorithm,
  { rows, columns, turned }: { readonly rows: number; readonly columns: number; readonly turned: boolean },
  tuning: MatmulTuning,
): FilterMatrices {
  const panels = Math.ceil(rows / tuning.rows)
  const most = blockDepth[size]
  const [stream, lastStream] = [streamBytes(panels, most), streamBytes(panels, columns % most)]
  const blockStep = tuning.rows * stream
  const productStep = spread(Math.floor(columns / most) * blockStep + tuning.rows * lastStream)
  const square = 4 * taps * taps
  const [filterRow, filterColumn] = turned ? [square, rows * square] : [columns * square, square]
  return {
    productStep,
    blockStep,
    stream,
    lastStream,
    bytes: size * size * productStep,
    threadScratchBytes: align(transformScratchBytes(size) + entryBytes * roundUp(columns, 4)),
    words: words.encode({ rows, columns, filterRow, filterColumn, productStep, blockStep, stream, lastStream }),
  }
}

/** Bytes of one row of all panels; no multiple of 1 KB, so that the rows of a panel lie in different sets of the cache. */
function streamBytes(panels: number, columns: number): number {
  const bytes = align(4 * panels * roundUp(columns, 4))
  return bytes % 1024 === 0 ? bytes + 192 : bytes
}

/** Bytes of one row of a panel in a block of so many columns. */
export const rowBytes = (columns: Local<'i32'>): Expression<'i32'> => i32.shl(i32.and(i32.add(columns, 3), -4), 2)

/**
 * Where a row of a panel begins, from its product's matrix, in the block that begins with `column` and has so many columns. Other blocks have
 * `most`.
 */
export function panelOffset(
  { most, blockStep }: { readonly most: number; readonly blockStep: Local<'i32'> },
  [column, columns]: readonly [Local<'i32'>, Local<'i32'>],
  panel: Expression<'i32'>,
): Expression<'i32'> {
  return i32.add(i32.mul(i32.divU(column, most), blockStep), i32.mul(panel, rowBytes(columns)))
}

/** The function that transforms filters; threads share the rows. `turned` takes them turned by 180°. */
export function filtersFunction(algorithm: Algorithm, turned: boolean): WasmFunction<typeof parameters> {
  const { size } = algorithm
  const most = blockDepth[size]
  const name = `winograd/filters${size}${turned ? 'Turned' : ''}`
  return {
    name,
    parameters,
    define: (module, { variant }) => {
      const tuning = matmulTuning(variant)
      const squares = emitSquares(module)
      const program = turned ? algorithm.turnedFilter : algorithm.filter
      const transform = emitToProducts(module, 'winogradFilter', variant, program)
      return module.function(name, parameters, 'void', (fn, { data, filter, matrices, scratch, thread, threads }) => {
        const load = (word: Parameters<typeof words.load>[1]) => fn.local('i32', word, words.load(data, word))
        const [rows, columns, productStep] = [load('rows'), load('columns'), load('productStep')]
        const [filterRow, filterColumn] = [load('filterRow'), load('filterColumn')]
        const [blockStep, stream, lastStream] = [load('blockStep'), load('stream'), load('lastStream')]
        const table = fn.local('i32', 'table', i32.add(scratch, transformScratchBytes(size)))
        const padded = i32.and(i32.add(columns, 3), -4)
        fn.call(squares, { table, count: columns, padded, step: filterColumn, size: taps })
        const to = fn.local('i32', 'to', i32.divU(i32.mul(rows, i32.add(thread, 1)), threads))
        fn.forRange(i32.divU(i32.mul(rows, thread), threads), to, 1, (row) => {
          const plane = fn.local('i32', 'plane', i32.add(filter, i32.mul(row, filterRow)))
          const entry = fn.local('i32', 'entry', table)
          fn.forRange(0, columns, most, (column) => {
            const width = fn.local('i32', 'width', min(i32.const(most), i32.sub(columns, column)))
            const rowStep = select(i32.eq(width, most), stream, lastStream)
            const inPanel = i32.mul(i32.remU(row, tuning.rows), rowStep)
            const panel = panelOffset({ most, blockStep }, [column, width], i32.divU(row, tuning.rows))
            const target = fn.local('i32', 'target', i32.add(matrices, i32.add(panel, inPanel)))
            fn.forRange(0, width, 4, () => {
              fn.call(transform, { table: entry, plane, rowStep: 4 * taps, scratch, target, productStep })
              fn.increment(entry, 4 * entryBytes)
              fn.increment(target, 16)
            })
          })
        })
      })
    },
  }
}
