import type { Expression, FunctionBuilder, FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32, f32x4, i8x16, i16x8, i32, i32x4, v128 } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { multiplyAdd } from '../matmul/tile.ts'

/** Parameters of one unit: addresses. `x`, `values`, `scales` and `y` are whole operands, `y` the unit's own place if it is staged. */
export const quantizedParameters = {
  descriptor: 'i32',
  x: 'i32',
  values: 'i32',
  scales: 'i32',
  y: 'i32',
  unit: 'i32',
} as const

const wordNames = ['m', 'n', 'k', 'block', 'columns', 'xRow', 'yRow', 'isStaged'] as const
type Words = Readonly<Record<(typeof wordNames)[number], number>>

/** The words of a descriptor: sizes in elements, steps between rows in bytes. */
export const quantizedWords = (words: Words): Int32Array => Int32Array.from(wordNames, (name) => words[name])

type UnitBuilder = FunctionBuilder<typeof quantizedParameters, 'void'>

/** Emits y[m, columns] = x[m, k] · w[columns, k]ᵀ for the columns of a unit, whose weights have `bits` bits. */
export function emitQuantizedUnit(
  module: ModuleBuilder,
  variant: Variant,
  bits: 8 | 4,
): FunctionHandle<typeof quantizedParameters, 'void'> {
  return module.function(`quantizedUnit${bits}`, quantizedParameters, 'void', (fn, parameters) => {
    const { descriptor, values, scales, y, unit } = parameters
    const word = (name: (typeof wordNames)[number]) => i32.load(descriptor, 4 * wordNames.indexOf(name))
    const k = fn.local('i32', 'k', word('k'))
    const block = fn.local('i32', 'block', word('block'))
    const valueRow = fn.local('i32', 'valueRow', bits === 8 ? k : i32.shrU(k, 1))
    const scaleRow = fn.local('i32', 'scaleRow', i32.shl(i32.divU(k, block), 2))
    const first = fn.local('i32', 'first', i32.mul(unit, word('columns')))
    const rest = fn.local('i32', 'rest', i32.sub(word('n'), first))
    fn.if(i32.gtS(rest, word('columns')), () => fn.set(rest, word('columns')))
    fn.increment(values, i32.mul(first, valueRow))
    fn.increment(scales, i32.mul(first, scaleRow))
    fn.if(i32.eqz(word('isStaged')), () => fn.increment(y, i32.shl(first, 2)))
    const sizes = { k, block, xRow: word('xRow'), yRow: word('yRow'), m: word('m') }
    // Several columns at a time, far apart: memory is then read in as many long streams, not in short pieces of neighbouring rows.
    const columns = (count: number) => {
      const each = fn.local('i32', 'each', i32.divU(rest, count))
      const steps = {
        values: fn.local('i32', 'valueStep', i32.mul(valueRow, each)),
        scales: fn.local('i32', 'scaleStep', i32.mul(scaleRow, each)),
        y: fn.local('i32', 'yStep', i32.shl(each, 2)),
      }
      fn.repeat(fn.local('i32', 'turns', each), () => {
        emitRows(fn, variant, bits, count, sizes, steps)
        fn.increment(values, valueRow)
        fn.increment(scales, scaleRow)
        fn.increment(y, 4)
      })
      const done = count - 1
      fn.increment(values, i32.mul(steps.values, done))
      fn.increment(scales, i32.mul(steps.scales, done))
      fn.increment(y, i32.mul(steps.y, done))
      fn.set(rest, i32.remU(rest, count))
    }
    columns(2)
    columns(1)
  })
}

type Sizes = Record<'k' | 'block', Local<'i32'>> & Record<'xRow' | 'yRow' | 'm', Expression<'i32'>>

/** The products of all rows of x with `count` columns: rows of w at `values`, some steps apart. */
function emitRows(
  fn: UnitBuilder,
  variant: Variant,
  bits: 8 | 4,
  count: number,
  sizes: Sizes,
  steps: Record<'values' | 'scales' | 'y', Local<'i32'>>,
): void {
  const { x, values, scales, y } = fn.parameters
  const round = bits === 8 ? 16 : 32
  const row = fn.local('i32', 'row', x)
  const target = fn.local('i32', 'target', y)
  const chain = (start: Local<'i32'>, step: Local<'i32'>) => {
    const list = Array.from({ length: count }, () => fn.local('i32', 'pointer'))
    list.forEach((pointer, u) => {
      fn.set(pointer, u === 0 ? start : i32.add(list[u - 1]!, step))
    })
    return list
  }
  fn.repeat(fn.local('i32', 'rows', sizes.m), () => {
    const at = fn.local('i32', 'at', row)
    const weights = chain(values, steps.values)
    const factors = chain(scales, steps.scales)
    const zero = v128.const(new Int32Array(4))
    const totals = weights.map(() => fn.local('v128', 'total', zero))
    const left = fn.local('i32', 'left', sizes.k)
    fn.while(i32.gtS(left, 0), () => {
      // Two sums for each column, so that one multiply–add need not wait for the one before.
      const sums = weights.map(() => [fn.local('v128', 'sum', zero), fn.local('v128', 'sum', zero)] as const)
      const inBlock = fn.local('i32', 'inBlock', sizes.block)
      fn.while(i32.gtS(inBlock, 0), () => {
        for (let half = 0; half < round / 16; half++) {
          const factorsOfX = [0, 16, 32, 48].map((offset) =>
            fn.local('v128', 'left', v128.load(at, 64 * half + offset)),
          )
          weights.forEach((pointer, u) => {
            fn.scope(() => {
              sixteen(fn, bits, pointer, half).forEach((weight, i) => {
                const sum = sums[u]![i % 2]!
                fn.set(sum, multiplyAdd(variant, factorsOfX[i]!, weight, sum))
              })
            })
          })
        }
        for (const pointer of weights) fn.increment(pointer, 16)
        fn.increment(at, 4 * round)
        fn.increment(inBlock, -round)
      })
      factors.forEach((factor, u) => {
        const sum = f32x4.add(sums[u]![0], sums[u]![1])
        fn.set(totals[u]!, multiplyAdd(variant, v128.load32Splat(factor), sum, totals[u]!))
        fn.increment(factor, 4)
      })
      fn.increment(left, i32.sub(0, sizes.block))
    })
    const place = fn.local('i32', 'place', target)
    totals.forEach((total) => {
      fn.set(total, f32x4.add(total, v128.shuffle32(total, total, [2, 3, 0, 1])))
      fn.store('f32', place, f32.add(f32x4.extractLane(total, 0), f32x4.extractLane(total, 1)))
      fn.increment(place, steps.y)
    })
    fn.increment(row, sizes.xRow)
    fn.increment(target, sizes.yRow)
  })
}

/** Sixteen weights as four vectors of floats: bytes, or the low (`half` 0) or high four bits of sixteen bytes. */
function sixteen(fn: UnitBuilder, bits: 8 | 4, pointer: Local<'i32'>, half: number): Expression<'v128'>[] {
  const words = bits === 8 ? [v128.load8x8S(pointer), v128.load8x8S(pointer, 8)] : fourBits(fn, pointer, half)
  return words.flatMap((word) => {
    const kept = fn.local('v128', 'words', word)
    return [i32x4.extendLowI16x8S(kept), i32x4.extendHighI16x8S(kept)].map((lanes) => f32x4.convertI32x4S(lanes))
  })
}

function fourBits(fn: UnitBuilder, pointer: Local<'i32'>, half: number): Expression<'v128'>[] {
  const bytes = v128.load(pointer)
  const codes = half === 0 ? v128.and(bytes, i8x16.splat(15)) : i8x16.shrU(bytes, 4)
  const numbers = fn.local('v128', 'numbers', i8x16.sub(codes, i8x16.splat(8)))
  return [i16x8.extendLowI8x16S(numbers), i16x8.extendHighI8x16S(numbers)]
}
