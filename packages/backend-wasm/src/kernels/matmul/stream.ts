import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { f32x4, i32, v128 } from '../../assembler/index.ts'
import { strideBytes, word } from './descriptor.ts'
import { elementReader, loadFloats, type OperandFormats } from './elements.ts'
import { emitSwap } from './operands.ts'
import { storeFloats } from './pack.ts'
import { multiplyAdd } from './tile.ts'
import { min } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'

/** Parameters of one unit of depth of a streamed product. `sums` is where the sums of all units go: `[units, m, n]`. */
export const matmulStreamParameters = { descriptor: 'i32', a: 'i32', b: 'i32', sums: 'i32', unit: 'i32' } as const

/** Parameters of what adds them up, for one unit of columns. */
export const matmulSumParameters = { descriptor: 'i32', sums: 'i32', c: 'i32', unit: 'i32' } as const

const rowParameters = { a: 'i32', b: 'i32', c: 'i32', n: 'i32' } as const

/**
 * Emits the product of a few rows with a row-major B that does not fit the caches: each unit goes through some whole rows of B, one after the
 * other, so that memory is read as a single stream, and adds `a[i, k] · B[k, :]` to sums of its own, which stay in the nearest cache.
 */
export function emitStreamUnit(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  formats: OperandFormats,
): FunctionHandle<typeof matmulStreamParameters, 'void'> {
  const names = `${formats.a}-${formats.b}`
  const addRow = module.function(`matmulStreamRow-${names}`, rowParameters, 'void', (fn, { a, b, c, n }) => {
    const [left, right] = [elementReader(fn, tuning.variant, formats.a), elementReader(fn, tuning.variant, formats.b)]
    const factor = fn.local('v128', 'factor', f32x4.splat(left.one(a)))
    const columns = (vectors: number, lanes: number) => {
      const each = Array.from({ length: vectors }, (_, j) => j)
      const sums = each.map((j) => fn.local('v128', 'sum', loadFloats(c, lanes, 16 * j)))
      const row = each.map((j) => fn.local('v128', 'row', right.some(b, lanes, 4 * j)))
      for (const j of each) fn.set(sums[j]!, multiplyAdd(tuning.variant, factor, row[j]!, sums[j]!))
      for (const j of each) storeFloats(fn, c, sums[j]!, lanes, 16 * j)
      fn.increment(b, right.bytes * vectors * lanes)
      fn.increment(c, 4 * vectors * lanes)
      fn.increment(n, -vectors * lanes)
    }
    fn.while(i32.geS(n, 32), () => columns(8, 4))
    fn.while(i32.geS(n, 8), () => columns(2, 4))
    fn.while(i32.gtS(n, 0), () => columns(1, 1))
  })
  return module.function(`matmulStreamUnit-${names}`, matmulStreamParameters, 'void', (fn, parameters) => {
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
    const bytes = fn.local('i32', 'bytes', i32.shl(i32.mul(m, n), 2))
    fn.increment(sums, i32.mul(unit, bytes))
    fn.memoryFill(sums, 0, bytes)
    fn.increment(a, i32.mul(first, aColumn))
    fn.increment(b, i32.mul(first, bRow))
    const cRow = fn.local('i32', 'cRow', i32.shl(n, 2))
    fn.repeat(depth, () => {
      const [from, to] = [fn.local('i32', 'from', a), fn.local('i32', 'to', sums)]
      fn.repeat(fn.local('i32', 'rows', m), () => {
        fn.call(addRow, { a: from, b, c: to, n })
        fn.increment(from, aRow)
        fn.increment(to, cRow)
      })
      fn.increment(a, aColumn)
      fn.increment(b, bRow)
    })
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
