import { i32, i32x4, type ModuleBuilder, type Variant, v128, type WasmFunction } from '@tessera/backend-wasm'
import { matmulTuning } from '@tessera/backend-wasm/kernel'

/** The register tile of a variant: rows of the result, and vectors of four of its columns. */
export interface IntegerTile {
  readonly rows: number
  readonly vectors: number
}

/** A multiplication and an addition need a register between them, as the plain product of floats does. */
export const tileOf = (variant: Variant): IntegerTile => ({
  rows: matmulTuning('plain').rows,
  vectors: variant === 'wide' ? 4 : 2,
})

const tileParameters = { left: 'i32', right: 'i32', pairs: 'i32', target: 'i32', targetRow: 'i32' } as const

/**
 * C[rows, columns] from packed panels: for each pair of neighbours along the inner axis, panels hold for every row (column) the two numbers
 * as i16. `i32x4.dot_i16x8_s` multiplies both and adds the products in 32 bits, which wraps for four times −2¹⁵ only, as the sums do.
 */
function emitTile(module: ModuleBuilder, { rows, vectors }: IntegerTile) {
  return module.function('integerTile', tileParameters, 'void', (fn, { left, right, pairs, target, targetRow }) => {
    const sums = Array.from({ length: rows }, () => fn.locals('v128', vectors, 'sum'))
    const zero = v128.const(new Int32Array(4))
    for (const row of sums) for (const sum of row) fn.set(sum, zero)
    const step = () => {
      fn.scope(() => {
        const across = Array.from({ length: vectors }, (_, j) => fn.local('v128', 'across', v128.load(right, 16 * j)))
        sums.forEach((row, i) => {
          fn.scope(() => {
            const down = fn.local('v128', 'down', v128.load32Splat(left, 4 * i))
            row.forEach((sum, j) => {
              fn.set(sum, i32x4.add(sum, i32x4.dotI16x8S(down, across[j]!)))
            })
          })
        })
      })
      fn.increment(left, 4 * rows)
      fn.increment(right, 16 * vectors)
      fn.increment(pairs, -1)
    }
    fn.while(i32.geS(pairs, 4), () => {
      for (let i = 0; i < 4; i++) step()
    })
    fn.while(i32.gtS(pairs, 0), step)
    for (const row of sums) {
      row.forEach((sum, j) => {
        fn.store('v128', target, sum, 16 * j)
      })
      fn.increment(target, targetRow)
    }
  })
}

const unitParameters = {
  left: 'i32',
  right: 'i32',
  /** Byte offsets of the results of all batches. */
  offsets: 'i32',
  output: 'i32',
  scratch: 'i32',
  unit: 'i32',
  rows: 'i32',
  columns: 'i32',
  pairs: 'i32',
  /** Panels of a unit along each side. */
  unitRows: 'i32',
  unitColumns: 'i32',
  outputRow: 'i32',
  outputColumn: 'i32',
} as const

/** One unit of the product: some row panels by some column panels of one batch. The column panel stays in the nearest cache meanwhile. */
export const productFunction: WasmFunction<typeof unitParameters> = {
  name: 'numerics-flexpoint/integer-product',
  parameters: unitParameters,
  define: (module, { variant }) => {
    const shape = tileOf(variant)
    const width = 4 * shape.vectors
    const tile = emitTile(module, shape)
    return module.function('integerProduct', unitParameters, 'void', (fn, given) => {
      const { left, right, offsets, output, scratch, unit, rows, columns, pairs } = given
      const { unitRows, unitColumns, outputRow, outputColumn } = given
      const ceilDivide = (name: string, value: typeof rows, by: number | typeof rows) =>
        fn.local('i32', name, i32.divU(i32.sub(i32.add(value, by), 1), by))
      const rowPanels = ceilDivide('rowPanels', rows, shape.rows)
      const columnPanels = ceilDivide('columnPanels', columns, width)
      const rowUnits = ceilDivide('rowUnits', rowPanels, unitRows)
      const columnUnits = ceilDivide('columnUnits', columnPanels, unitColumns)
      const ofBatch = fn.local('i32', 'ofBatch', i32.mul(rowUnits, columnUnits))
      const batch = fn.local('i32', 'batch', i32.divU(unit, ofBatch))
      const within = fn.local('i32', 'within', i32.remU(unit, ofBatch))
      const limit = (name: string, start: typeof rows, count: typeof rows, most: typeof rows) => {
        const end = fn.local('i32', name, i32.add(start, count))
        fn.if(i32.gtS(end, most), () => fn.set(end, most))
        return end
      }
      const firstRow = fn.local('i32', 'firstRow', i32.mul(i32.divU(within, columnUnits), unitRows))
      const firstColumn = fn.local('i32', 'firstColumn', i32.mul(i32.remU(within, columnUnits), unitColumns))
      const rowEnd = limit('rowEnd', firstRow, unitRows, rowPanels)
      const columnEnd = limit('columnEnd', firstColumn, unitColumns, columnPanels)
      const base = fn.local('i32', 'base', i32.add(output, i32.load(i32.add(offsets, i32.mul(batch, 4)))))
      const panelAt = (address: typeof left, panels: typeof rows, panel: typeof rows, lines: number) =>
        i32.add(address, i32.mul(i32.add(i32.mul(batch, panels), panel), i32.mul(pairs, 4 * lines)))
      fn.forRange(firstColumn, columnEnd, 1, (columnPanel) => {
        const across = fn.local('i32', 'across', panelAt(right, columnPanels, columnPanel, width))
        const column = fn.local('i32', 'column', i32.mul(columnPanel, width))
        fn.forRange(firstRow, rowEnd, 1, (rowPanel) => {
          const down = fn.local('i32', 'down', panelAt(left, rowPanels, rowPanel, shape.rows))
          const row = fn.local('i32', 'row', i32.mul(rowPanel, shape.rows))
          const restRows = fn.local('i32', 'restRows', i32.sub(rows, row))
          const restColumns = fn.local('i32', 'restColumns', i32.sub(columns, column))
          const place = i32.add(i32.mul(row, outputRow), i32.mul(column, outputColumn))
          const target = fn.local('i32', 'target', i32.add(base, place))
          const isWhole = i32.and(i32.geS(restRows, shape.rows), i32.geS(restColumns, width))
          fn.if(
            i32.and(isWhole, i32.eq(outputColumn, 4)),
            () => fn.call(tile, { left: down, right: across, pairs, target, targetRow: outputRow }),
            () => {
              fn.call(tile, { left: down, right: across, pairs, target: scratch, targetRow: 4 * width })
              fn.if(i32.gtS(restRows, shape.rows), () => fn.set(restRows, shape.rows))
              fn.if(i32.gtS(restColumns, width), () => fn.set(restColumns, width))
              const source = fn.local('i32', 'source', scratch)
              fn.repeat(restRows, () => {
                const from = fn.local('i32', 'from', source)
                const to = fn.local('i32', 'to', target)
                fn.repeat(restColumns, () => {
                  fn.store('i32', to, i32.load(from))
                  fn.increment(from, 4)
                  fn.increment(to, outputColumn)
                })
                fn.increment(source, 4 * width)
                fn.increment(target, outputRow)
              })
            },
          )
        })
      })
    })
  },
}
