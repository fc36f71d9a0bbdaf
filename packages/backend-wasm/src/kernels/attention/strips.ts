import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { f32, f32x4, i32, select, v128 } from '../../assembler/index.ts'
import { transpose } from '../matmul/pack.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { tileColumns } from '../matmul/tuning.ts'

/** Addresses and steps are in bytes. */
const packParameters = {
  source: 'i32',
  /** Step from one row to the next. */
  step: 'i32',
  /** Rows that exist, at least 1; the last one is repeated to fill the strip. */
  count: 'i32',
  width: 'i32',
  factor: 'f32',
  destination: 'i32',
} as const

export type PackStripFunction = FunctionHandle<typeof packParameters, 'void'>

/** Emits the function that writes rows `[count, width]` times a factor as a strip `[width][column]` as wide as a tile. */
export function emitPackStrip(module: ModuleBuilder, tuning: MatmulTuning): PackStripFunction {
  const columns = tileColumns(tuning)
  return module.function('attentionPackStrip', packParameters, 'void', (fn, parameters) => {
    const { source, step, count, width, factor, destination } = parameters
    const factors = fn.local('v128', 'factors', f32x4.splat(factor))
    for (let group = 0; group < columns; group += 4) {
      fn.scope(() => {
        const rows = Array.from({ length: 4 }, (_, i) => {
          const row = select(i32.gtS(count, group + i), i32.const(group + i), i32.sub(count, 1))
          return fn.local('i32', 'row', i32.add(source, i32.mul(step, row)))
        })
        const target = fn.local('i32', 'target', i32.add(destination, 4 * group))
        const rest = fn.local('i32', 'rest', width)
        fn.while(i32.geS(rest, 4), () => {
          transpose(fn, rows).forEach((column, i) => {
            fn.store('v128', target, f32x4.mul(column, factors), 4 * columns * i)
          })
          for (const row of rows) fn.increment(row, 16)
          fn.increment(target, 16 * columns)
          fn.increment(rest, -4)
        })
        fn.while(i32.gtS(rest, 0), () => {
          rows.forEach((row, i) => {
            fn.store('f32', target, f32.mul(f32.load(row), factor), 4 * i)
            fn.increment(row, 4)
          })
          fn.increment(target, 4 * columns)
          fn.increment(rest, -1)
        })
      })
    }
  })
}

const storeParameters = {
  source: 'i32',
  width: 'i32',
  /** Address of one factor for each column. */
  factors: 'i32',
  /** Columns of the strip that are written. */
  count: 'i32',
  destination: 'i32',
  step: 'i32',
} as const

export type StoreStripFunction = FunctionHandle<typeof storeParameters, 'void'>

/** Emits the function that writes a strip `[width][column]` times a factor for each column as rows `[count, width]`. */
export function emitStoreStrip(module: ModuleBuilder, tuning: MatmulTuning): StoreStripFunction {
  const columns = tileColumns(tuning)
  return module.function('attentionStoreStrip', storeParameters, 'void', (fn, parameters) => {
    const { source, width, factors, count, destination, step } = parameters
    fn.while(i32.gtS(count, 0), () => {
      const rest = fn.local('i32', 'rest', width)
      const sources = Array.from({ length: 4 }, (_, i) => fn.local('i32', 'source', i32.add(source, 4 * columns * i)))
      fn.if(
        i32.geS(count, 4),
        () => {
          const targets = Array.from({ length: 4 }, (_, i) =>
            fn.local('i32', 'target', i32.add(destination, i32.mul(step, i))),
          )
          const splats = Array.from({ length: 4 }, (_, i) =>
            fn.local('v128', 'splat', v128.load32Splat(factors, 4 * i)),
          )
          fn.while(i32.geS(rest, 4), () => {
            transpose(fn, sources).forEach((row, i) => {
              fn.store('v128', targets[i]!, f32x4.mul(row, splats[i]!))
            })
            for (const pointer of sources) fn.increment(pointer, 16 * columns)
            for (const pointer of targets) fn.increment(pointer, 16)
            fn.increment(rest, -4)
          })
          fn.while(i32.gtS(rest, 0), () => {
            targets.forEach((target, i) => {
              fn.store('f32', target, f32.mul(f32.load(sources[0]!, 4 * i), f32.load(factors, 4 * i)))
              fn.increment(target, 4)
            })
            fn.increment(sources[0]!, 4 * columns)
            fn.increment(rest, -1)
          })
        },
        () => {
          fn.forRange(0, count, 1, (column) => {
            const at = fn.local('i32', 'at', i32.shl(column, 2))
            const from = fn.local('i32', 'from', i32.add(source, at))
            const target = fn.local('i32', 'target', i32.add(destination, i32.mul(step, column)))
            const factor = fn.local('f32', 'factor', f32.load(i32.add(factors, at)))
            fn.repeat(width, () => {
              fn.store('f32', target, f32.mul(f32.load(from), factor))
              fn.increment(from, 4 * columns)
              fn.increment(target, 4)
            })
          })
        },
      )
      fn.increment(count, -4)
      fn.increment(source, 16)
      fn.increment(factors, 16)
      fn.increment(destination, i32.shl(step, 2))
    })
  })
}
