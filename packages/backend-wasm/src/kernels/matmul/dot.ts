import type { Local, ModuleBuilder } from '../../assembler/index.ts'
import { call, f32, f32x4, i32, v128 } from '../../assembler/index.ts'
import { strideBytes, word } from './descriptor.ts'
import { type ElementReader, elementReader, type OperandFormats } from './elements.ts'
import { emitAreFinite } from './finite.ts'
import type { PartBuilder, Steps } from './operands.ts'
import { emitRows, prepareAddend } from './operands.ts'
import { multiplyAdd } from './tile.ts'
import type { PartFunction } from './tiles.ts'
import { partParameters, tileScratchBytes } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'

/**
 * Emits the product of a few rows with a column-major B: every element of C is a dot product of adjacent floats, for two rows and two
 * columns or one row and four columns at a time. Each element sums eight interleaved parts of k, then the rest of k, then the addend, in the
 * same order wherever it stands.
 */
export function emitDot(module: ModuleBuilder, tuning: MatmulTuning, formats: OperandFormats): PartFunction {
  const rowsOfA = emitRows(module, tuning, formats.a)
  const areFiniteOf = new Map(
    formats.b === 'f16' ? [4, 2, 1].map((columns) => [columns, emitAreFinite(module, columns)]) : [],
  )
  return module.function(`matmulDot-${formats.a}-${formats.b}`, partParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, addend, c, m, n } = parameters
    const reader = elementReader(fn, tuning.variant, formats.b)
    const finiteReader = elementReader(fn, tuning.variant, formats.b, true)
    const steps = prepareAddend(fn)
    rowsOfA.prepare(fn)
    const aRow = fn.local('i32', 'aRow', rowsOfA.step(descriptor))
    const bColumn = fn.local('i32', 'bColumn', strideBytes(descriptor, 'bColumnStride', formats.b))
    const k = fn.local('i32', 'k', word(descriptor, 'k'))
    const rows = (rowCount: number, columnCounts: readonly number[]) => {
      fn.while(i32.geS(m, rowCount), () => {
        const right = fn.local('i32', 'right', b)
        const added = fn.local('i32', 'added', addend)
        const target = fn.local('i32', 'target', c)
        const rest = fn.local('i32', 'rest', n)
        for (const columnCount of columnCounts) {
          // The columns of a group are far apart, so that memory is read in as many long streams.
          const each = fn.local('i32', 'each', i32.divU(rest, columnCount))
          const apart = (step: Local<'i32'>) => fn.local('i32', 'apart', i32.mul(step, each))
          const far = {
            bColumn: apart(bColumn),
            cColumn: apart(steps.cColumn),
            addendColumn: apart(steps.addendColumn),
          }
          fn.repeat(fn.local('i32', 'turns', each), () => {
            const at = { ...far, aRow, k, right, added, target, steps }
            const areFinite = areFiniteOf.get(columnCount)
            const productsOf = (elements: ElementReader) => dotProducts(fn, tuning, elements, rowCount, columnCount, at)
            if (!areFinite) productsOf(reader)
            else {
              fn.if(
                call(areFinite, { source: right, step: far.bColumn, count: k }),
                () => productsOf(finiteReader),
                () => productsOf(reader),
              )
            }
            fn.increment(right, bColumn)
            fn.increment(added, steps.addendColumn)
            fn.increment(target, steps.cColumn)
          })
          fn.increment(right, i32.mul(far.bColumn, columnCount - 1))
          fn.increment(added, i32.mul(far.addendColumn, columnCount - 1))
          fn.increment(target, i32.mul(far.cColumn, columnCount - 1))
          fn.set(rest, i32.remU(rest, columnCount))
        }
        fn.increment(a, i32.mul(aRow, rowCount))
        fn.increment(addend, i32.mul(steps.addendRow, rowCount))
        fn.increment(c, i32.mul(steps.cRow, rowCount))
        fn.increment(m, -rowCount)
      })
    }
    rows(2, [2, 1])
    rows(1, [4, 1])
  })
}

/** Addresses and steps of a group of dot products. */
type DotAddresses = Record<
  'aRow' | 'bColumn' | 'cColumn' | 'addendColumn' | 'k' | 'right' | 'added' | 'target',
  Local<'i32'>
> & {
  readonly steps: Steps
}

/** The elements of C at `target` in `rowCount` rows and `columnCount` columns. */
function dotProducts(
  fn: PartBuilder,
  tuning: MatmulTuning,
  reader: ElementReader,
  rowCount: number,
  columnCount: number,
  at: DotAddresses,
): void {
  fn.scope(() => {
    const { a, scratch } = fn.parameters
    const pointers = (count: number, first: Local<'i32'>, step: Local<'i32'>) => {
      const list = Array.from({ length: count }, () => fn.local('i32', 'pointer'))
      list.forEach((pointer, i) => {
        fn.set(pointer, i === 0 ? first : i32.add(list[i - 1]!, step))
      })
      return list
    }
    const rows = pointers(rowCount, a, at.aRow)
    const columns = pointers(columnCount, at.right, at.bColumn)
    const zero = v128.const(new Int32Array(4))
    const sums = rows.map(() =>
      columns.map(() => [0, 16].map((offset) => ({ offset, sum: fn.local('v128', 'sum', zero) }))),
    )
    const rest = fn.local('i32', 'rest', at.k)
    fn.while(i32.geS(rest, 8), () => {
      const left = rows.map((row) => [0, 16].map((offset) => fn.local('v128', 'part', v128.load(row, offset))))
      columns.forEach((column, j) => {
        const right = [0, 4].map((index) => fn.local('v128', 'part', reader.some(column, 4, index)))
        left.forEach((parts, i) => {
          sums[i]![j]!.forEach(({ sum }, half) => {
            fn.set(sum, multiplyAdd(tuning.variant, parts[half]!, right[half]!, sum))
          })
        })
      })
      for (const pointer of rows) fn.increment(pointer, 32)
      for (const pointer of columns) fn.increment(pointer, 8 * reader.bytes)
      fn.increment(rest, -8)
    })
    // The detour through memory lets the revectoriser see the pair of sums as one vector of eight floats.
    const spill = tileScratchBytes(tuning).zeros
    const place = (i: number, j: number) => spill + 32 * (i * columnCount + j)
    sums.forEach((row, i) => {
      row.forEach((pair, j) => {
        for (const { sum, offset } of pair) fn.store('v128', scratch, sum, place(i, j) + offset)
      })
    })
    const [added, target] = [fn.local('i32', 'added'), fn.local('i32', 'target')]
    rows.forEach((row, i) => {
      columns.forEach((column, j) => {
        fn.scope(() => {
          const both = fn.local(
            'v128',
            'both',
            f32x4.add(v128.load(scratch, place(i, j)), v128.load(scratch, place(i, j) + 16)),
          )
          fn.set(both, f32x4.add(both, v128.shuffle32(both, both, [2, 3, 0, 1])))
          const total = fn.local('f32', 'total', f32.add(f32x4.extractLane(both, 0), f32x4.extractLane(both, 1)))
          const [left, right] = [fn.local('i32', 'left', row), fn.local('i32', 'right', column)]
          fn.repeat(rest, () => {
            fn.set(total, f32.add(total, f32.mul(f32.load(left), reader.one(right))))
            fn.increment(left, 4)
            fn.increment(right, reader.bytes)
          })
          fn.set(added, i32.add(at.added, i32.add(i32.mul(at.steps.addendRow, i), i32.mul(at.addendColumn, j))))
          fn.set(target, i32.add(at.target, i32.add(i32.mul(at.steps.cRow, i), i32.mul(at.cColumn, j))))
          fn.store('f32', target, f32.add(total, f32.load(added)))
        })
      })
    })
  })
}
