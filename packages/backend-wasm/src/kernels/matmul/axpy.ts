import type { Expression, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32, i32, v128 } from '../../assembler/index.ts'
import { strideBytes, word } from './descriptor.ts'
import { type ElementReader, elementReader, loadFloats, type OperandFormats } from './elements.ts'
import type { PartBuilder, Steps } from './operands.ts'
import { emitRows, prepareAddend, type RowsOfA } from './operands.ts'
import { storeFloats } from './pack.ts'
import { multiplyAdd } from './tile.ts'
import type { PartFunction } from './tiles.ts'
import { min, partParameters } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'

/** Columns of C that stay in the first-level cache while rows of B stream by. */
const axpyColumns = 1024

/**
 * Emits the product of a few rows with a row-major B: C starts as the addend, then C[i, :] += a[i, k] · B[k, :] for four k and up to two
 * rows at a time. Columns of C are adjacent.
 */
export function emitAxpy(module: ModuleBuilder, tuning: MatmulTuning, formats: OperandFormats): PartFunction {
  const rowsOfA = emitRows(module, tuning, formats.a)
  const groups = [
    { rows: 2, run: emitAxpyRows(module, tuning, 2, formats, rowsOfA) },
    { rows: 1, run: emitAxpyRows(module, tuning, 1, formats, rowsOfA) },
  ]
  return module.function(`matmulAxpy${rowsOfA.suffix}`, partParameters, 'void', (fn, parameters) => {
    const { descriptor, a, m } = parameters
    const steps = prepareAddend(fn)
    fillWithAddend(fn, steps)
    rowsOfA.prepare(fn)
    const aRow = fn.local('i32', 'aRow', rowsOfA.step(descriptor))
    for (const { rows, run } of groups) {
      fn.while(i32.geS(m, rows), () => {
        fn.call(run, parameters)
        fn.increment(a, i32.mul(aRow, rows))
        fn.increment(parameters.c, i32.mul(steps.cRow, rows))
        fn.increment(m, -rows)
      })
    }
  })
}

/** C[m, n] = addend */
function fillWithAddend(fn: PartBuilder, { addendRow, addendColumn, cRow }: Steps): void {
  const { addend, c, m, n } = fn.parameters
  fn.scope(() => {
    const sourceRow = fn.local('i32', 'sourceRow', addend)
    const targetRow = fn.local('i32', 'targetRow', c)
    fn.repeat(m, () => {
      const source = fn.local('i32', 'source', sourceRow)
      const target = fn.local('i32', 'target', targetRow)
      fn.repeat(n, () => {
        fn.store('f32', target, f32.load(source))
        fn.increment(source, addendColumn)
        fn.increment(target, 4)
      })
      fn.increment(sourceRow, addendRow)
      fn.increment(targetRow, cRow)
    })
  })
}

/** For `rows` rows; `m` and the addend are ignored. */
function emitAxpyRows(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  rows: number,
  formats: OperandFormats,
  rowsOfA: RowsOfA,
): PartFunction {
  return module.function(`matmulAxpy${rows}-${formats.a}-${formats.b}`, partParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, c, n } = parameters
    const reader = elementReader(fn, tuning.variant, formats.b)
    const k = fn.local('i32', 'k', word(descriptor, 'k'))
    const aRow = fn.local('i32', 'aRow', rowsOfA.step(descriptor))
    const aColumn = fn.local('i32', 'aColumn', rowsOfA.columnStep(descriptor))
    const bRow = fn.local('i32', 'bRow', strideBytes(descriptor, 'bRowStride', formats.b))
    const cRow = fn.local('i32', 'cRow', strideBytes(descriptor, 'cRowStride'))
    fn.while(i32.gtS(n, 0), () => {
      const columns = fn.local('i32', 'columns', min(i32.const(axpyColumns), n))
      const rest = fn.local('i32', 'rest', k)
      const aElement = fn.local('i32', 'aElement', a)
      const bStart = fn.local('i32', 'bStart', b)
      const steps = (count: number) => {
        const left = Array.from({ length: rows }, () => fn.locals('v128', count, 'left'))
        for (let u = 0; u < count; u++) {
          const address = fn.local('i32', 'address', aElement)
          for (let i = 0; i < rows; i++) {
            fn.set(left[i]![u]!, v128.load32Splat(address))
            if (i + 1 < rows) fn.increment(address, aRow)
          }
          fn.increment(aElement, aColumn)
        }
        addRows(fn, tuning, left, reader, { bStart, bRow, c, cRow, columns })
        fn.increment(bStart, i32.mul(bRow, count))
        fn.increment(rest, -count)
      }
      fn.while(i32.geS(rest, 4), () => steps(4))
      fn.while(i32.gtS(rest, 0), () => steps(1))
      fn.increment(b, reader.bytes * axpyColumns)
      fn.increment(c, 4 * axpyColumns)
      fn.increment(n, -axpyColumns)
    })
  })
}

/** C[i, :] += Σ left[i][u] · B[u, :], the sum in order of u. */
function addRows(
  fn: PartBuilder,
  tuning: MatmulTuning,
  left: readonly (readonly Local<'v128'>[])[],
  reader: ElementReader,
  at: Record<'bStart' | 'bRow' | 'c' | 'cRow' | 'columns', Local<'i32'>>,
): void {
  const depth = left[0]?.length ?? 0
  fn.scope(() => {
    const chain = (start: Expression<'i32'>, step: Expression<'i32'>, count: number) => {
      const pointers = Array.from({ length: count }, () => fn.local('i32', 'pointer'))
      pointers.forEach((pointer, i) => {
        fn.set(pointer, i === 0 ? start : i32.add(pointers[i - 1]!, step))
      })
      return pointers
    }
    const bRows = chain(at.bStart, at.bRow, depth)
    const cRows = chain(at.c, at.cRow, left.length)
    const rest = fn.local('i32', 'rest', at.columns)
    /** Adds to `vectors` vectors of `lanes` columns. */
    const columns = (vectors: number, lanes: number) => {
      const sums = cRows.map((row) =>
        Array.from({ length: vectors }, (_, j) => fn.local('v128', 'sum', loadFloats(row, lanes, 16 * j))),
      )
      bRows.forEach((row, u) => {
        const right = Array.from({ length: vectors }, (_, j) =>
          fn.local('v128', 'right', reader.some(row, lanes, 4 * j)),
        )
        sums.forEach((sum, i) => {
          for (let j = 0; j < vectors; j++)
            fn.set(sum[j]!, multiplyAdd(tuning.variant, left[i]![u]!, right[j]!, sum[j]!))
        })
      })
      cRows.forEach((row, i) => {
        for (let j = 0; j < vectors; j++) storeFloats(fn, row, sums[i]![j]!, lanes, 16 * j)
      })
      for (const pointer of bRows) fn.increment(pointer, reader.bytes * vectors * lanes)
      for (const pointer of cRows) fn.increment(pointer, 4 * vectors * lanes)
      fn.increment(rest, -vectors * lanes)
    }
    fn.while(i32.geS(rest, 8), () => columns(2, 4))
    fn.while(i32.gtS(rest, 0), () => columns(1, 1))
  })
}
