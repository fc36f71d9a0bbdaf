import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { call, f32x4, i32, v128 } from '../../assembler/index.ts'
import { strideBytes, word } from './descriptor.ts'
import { elementBytes, elementReader, loadFloats, type OperandFormats } from './elements.ts'
import { emitAreFinite } from './finite.ts'
import { emitSwap } from './operands.ts'
import { storeFloats } from './pack.ts'
import { multiplyAdd } from './tile.ts'
import { min } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'

/** Parameters of one unit of depth of a streamed product. `sums` is where the sums of all units go: `[units, m, n]`. */
export const matmulStreamParameters = { descriptor: 'i32', a: 'i32', b: 'i32', sums: 'i32', unit: 'i32' } as const

/** Parameters of what adds them up, for one unit of columns. */
export const matmulSumParameters = { descriptor: 'i32', sums: 'i32', c: 'i32', unit: 'i32' } as const

/** Addresses of the first row and its factor, steps to those of the next stream, the row of sums and its length. */
const rowsParameters = { a: 'i32', aStep: 'i32', b: 'i32', bStep: 'i32', c: 'i32', n: 'i32' } as const

/** Parts of a unit's depth that are read side by side: a core reads several long streams faster than one. */
const streamCount = 4

/** Columns of f16 that stay in the nearest cache, in all streams, from the check until they are added. */
const checkedColumns = 768

/** Emits `c[:] += Σ a[s] · B[s, :]` over some rows of B that lie apart. */
function emitAddRows(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  formats: OperandFormats,
  streams: number,
  areFinite = false,
) {
  const name = `matmulStream${areFinite ? 'Finite' : ''}Rows${streams}-${formats.a}-${formats.b}`
  return module.function(name, rowsParameters, 'void', (fn, { a, aStep, b, bStep, c, n }) => {
    const left = elementReader(fn, tuning.variant, formats.a)
    const right = elementReader(fn, tuning.variant, formats.b, areFinite)
    const each = Array.from({ length: streams }, (_, s) => s)
    const factors = each.map((s) => {
      if (s > 0) fn.increment(a, aStep)
      return fn.local('v128', 'factor', f32x4.splat(left.one(a)))
    })
    const rows = each.map(() => fn.local('i32', 'row', b))
    for (const s of each.slice(1)) fn.set(rows[s]!, i32.add(rows[s - 1]!, bStep))
    const columns = (vectors: number, lanes: number) => {
      const places = Array.from({ length: vectors }, (_, j) => j)
      const sums = places.map((j) => fn.local('v128', 'sum', loadFloats(c, lanes, 16 * j)))
      rows.forEach((row, s) => {
        const values = places.map((j) => fn.local('v128', 'values', right.some(row, lanes, 4 * j)))
        for (const j of places) fn.set(sums[j]!, multiplyAdd(tuning.variant, factors[s]!, values[j]!, sums[j]!))
      })
      for (const j of places) storeFloats(fn, c, sums[j]!, lanes, 16 * j)
      for (const row of rows) fn.increment(row, right.bytes * vectors * lanes)
      fn.increment(c, 4 * vectors * lanes)
      fn.increment(n, -vectors * lanes)
    }
    fn.while(i32.geS(n, 16), () => columns(4, 4))
    fn.while(i32.geS(n, 8), () => columns(2, 4))
    fn.while(i32.gtS(n, 0), () => columns(1, 1))
  })
}

/**
 * Emits the product of a few rows with a row-major B that does not fit the caches: each unit goes through some whole rows of B, as a few
 * streams of neighbouring rows, and adds `a[i, k] · B[k, :]` to sums of its own, which stay in the nearest cache.
 */
export function emitStreamUnit(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  formats: OperandFormats,
): FunctionHandle<typeof matmulStreamParameters, 'void'> {
  const name = `matmulStreamUnit-${formats.a}-${formats.b}`
  const parts = [streamCount, 1].map((streams) => ({
    streams,
    addRows: emitAddRows(module, tuning, formats, streams),
    finite:
      formats.b === 'f16'
        ? { test: emitAreFinite(module, streams), addRows: emitAddRows(module, tuning, formats, streams, true) }
        : undefined,
  }))
  return module.function(name, matmulStreamParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, sums, unit } = parameters
    emitSwap(fn, parameters)
    const [m, n] = [fn.local('i32', 'm', word(descriptor, 'm')), fn.local('i32', 'n', word(descriptor, 'n'))]
    const unitDepth = fn.local('i32', 'unitDepth', word(descriptor, 'unitDepth'))
    const first = fn.local('i32', 'first', i32.mul(unit, unitDepth))
    const depth = fn.local('i32', 'depth', min(unitDepth, i32.sub(word(descriptor, 'k'), first)))
    const [aRow, aColumn] = [
      fn.local('i32', 'aRow', strideBytes(descriptor, 'aRowStride', formats.a)),
      fn.local('i32', 'aColumn', strideBytes(descriptor, 'aColumnStride', formats.a)),
    ]
    const bRow = fn.local('i32', 'bRow', strideBytes(descriptor, 'bRowStride', formats.b))
    const cRow = fn.local('i32', 'cRow', i32.shl(n, 2))
    const bytes = fn.local('i32', 'bytes', i32.mul(m, cRow))
    fn.increment(sums, i32.mul(unit, bytes))
    fn.memoryFill(sums, 0, bytes)
    fn.increment(a, i32.mul(first, aColumn))
    fn.increment(b, i32.mul(first, bRow))
    for (const { streams, addRows, finite } of parts) {
      const each = fn.local('i32', 'each', i32.divU(depth, streams))
      const [aStep, bStep] = [
        fn.local('i32', 'aStep', i32.mul(each, aColumn)),
        fn.local('i32', 'bStep', i32.mul(each, bRow)),
      ]
      fn.repeat(fn.local('i32', 'turns', each), () => {
        fn.forRange(0, n, finite ? checkedColumns : n, (column) => {
          const [from, to] = [fn.local('i32', 'from', a), fn.local('i32', 'to', i32.add(sums, i32.shl(column, 2)))]
          const source = fn.local('i32', 'source', i32.add(b, i32.mul(column, elementBytes(formats.b))))
          const rest = i32.sub(n, column)
          const count = fn.local('i32', 'count', finite ? min(i32.const(checkedColumns), rest) : rest)
          const rowsWith = (run: typeof addRows) => {
            fn.repeat(fn.local('i32', 'rows', m), () => {
              fn.call(run, { a: from, aStep, b: source, bStep, c: to, n: count })
              fn.increment(from, aRow)
              fn.increment(to, cRow)
            })
          }
          if (!finite) rowsWith(addRows)
          else {
            fn.if(
              call(finite.test, { source, step: bStep, count }),
              () => rowsWith(finite.addRows),
              () => rowsWith(addRows),
            )
          }
        })
        fn.increment(a, aColumn)
        fn.increment(b, bRow)
      })
      fn.increment(a, i32.mul(aStep, streams - 1))
      fn.increment(b, i32.mul(bStep, streams - 1))
      fn.set(depth, i32.remU(depth, streams))
    }
  })
}

/** Emits what adds the sums of all units of depth, in their order, for all rows and the columns of one unit. */
export function emitStreamSum(module: ModuleBuilder): FunctionHandle<typeof matmulSumParameters, 'void'> {
  return module.function('matmulStreamSum', matmulSumParameters, 'void', (fn, { descriptor, sums, c, unit }) => {
    const [m, n] = [fn.local('i32', 'm', word(descriptor, 'm')), fn.local('i32', 'n', word(descriptor, 'n'))]
    const unitColumns = fn.local('i32', 'unitColumns', word(descriptor, 'unitColumns'))
    const units = fn.local('i32', 'units', word(descriptor, 'depthUnits'))
    const first = fn.local('i32', 'first', i32.mul(unit, unitColumns))
    const count = fn.local('i32', 'count', min(unitColumns, i32.sub(n, first)))
    const step = fn.local('i32', 'step', i32.shl(i32.mul(m, n), 2))
    const cRow = fn.local('i32', 'cRow', strideBytes(descriptor, 'cRowStride'))
    fn.if(i32.eqz(word(descriptor, 'isStaged')), () => fn.increment(c, i32.shl(first, 2)))
    fn.increment(sums, i32.shl(first, 2))
    fn.repeat(m, () => {
      const [from, to] = [fn.local('i32', 'from', sums), fn.local('i32', 'to', c)]
      const rest = fn.local('i32', 'rest', count)
      const columns = (vectors: number, lanes: number) => {
        const totals = fn.locals('v128', vectors, 'total')
        for (const total of totals) fn.set(total, v128.const(new Int32Array(4)))
        const each = fn.local('i32', 'each', from)
        fn.repeat(fn.local('i32', 'turns', units), () => {
          totals.forEach((total, j) => {
            fn.set(total, f32x4.add(total, loadFloats(each, lanes, 16 * j)))
          })
          fn.increment(each, step)
        })
        totals.forEach((total, j) => {
          storeFloats(fn, to, total, lanes, 16 * j)
        })
        for (const pointer of [from, to]) fn.increment(pointer, 4 * vectors * lanes)
        fn.increment(rest, -vectors * lanes)
      }
      fn.while(i32.geS(rest, 16), () => columns(4, 4))
      fn.while(i32.gtS(rest, 0), () => columns(1, 1))
      fn.increment(sums, i32.shl(n, 2))
      fn.increment(c, cRow)
    })
  })
}
