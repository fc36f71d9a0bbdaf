import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { f32, i32, select } from '../../assembler/index.ts'
import { chooseWidth } from '../matmul/pack.ts'
import type { PanelFunction } from '../matmul/panel.ts'
import { min, tileScratchBytes } from '../matmul/tiles.ts'
import { type MatmulTuning, tileColumns } from '../matmul/tuning.ts'
import { panelTable, tableBytes } from './patches.ts'

/** Parameters of the tiles over packed panels. Addresses and steps are in bytes. */
const blockParameters = {
  /** Packed panels of columns; the last one, of fewer columns, is packed as narrow as its tile if `isNarrow`, else as wide as the others. */
  panels: 'i32',
  isNarrow: 'i32',
  tables: 'i32',
  columns: 'i32',
  layout: 'i32',
  a: 'i32',
  aStep: 'i32',
  aPanelStep: 'i32',
  rows: 'i32',
  k: 'i32',
  /** The result of the first row, to which the offsets of the tables are added. */
  target: 'i32',
  targetRow: 'i32',
  /** Not 0: add to what is there. */
  accumulate: 'i32',
  scratch: 'i32',
} as const

export type BlockFunction = FunctionHandle<typeof blockParameters, 'void'>

/** Emits the tiles over packed patches of some columns and filters of some rows. */
export function emitBlock(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  panels: readonly PanelFunction[],
): BlockFunction {
  const width = tileColumns(tuning)
  const scatter = emitScatter(module)
  return module.function('convolutionBlock', blockParameters, 'void', (fn, parameters) => {
    const { isNarrow, tables, columns, layout, a, aStep, aPanelStep, rows, k, target, targetRow, accumulate, scratch } =
      parameters
    const b = parameters.panels
    const tile = fn.local('i32', 'tile', i32.add(scratch, tileScratchBytes(tuning).zeros))
    fn.while(i32.gtS(columns, 0), () => {
      const count = fn.local('i32', 'count', min(i32.const(width), columns))
      const targets = fn.local('i32', 'targets', i32.add(tables, 4 * width * panelTable.target))
      const firstTarget = fn.local('i32', 'firstTarget', i32.load(targets))
      const span = i32.sub(i32.load(i32.add(targets, i32.shl(i32.sub(count, 1), 2))), firstTarget)
      const isRun = fn.local('i32', 'isRun', i32.eq(span, i32.shl(i32.sub(count, 1), 2)))
      chooseWidth(fn, tuning, count, (index) => {
        const tileWidth = 4 * tuning.widths[index]!
        const shared = {
          layout,
          aStep,
          aPanelStep,
          b,
          bStep: select(isNarrow, i32.const(4 * tileWidth), i32.const(4 * width)),
          k,
        }
        fn.if(
          i32.and(isRun, i32.eq(count, tileWidth)),
          () => {
            const c = fn.local('i32', 'c', i32.add(target, firstTarget))
            const addend = select(accumulate, c, scratch)
            const addendStep = select(accumulate, targetRow, i32.const(0))
            fn.call(panels[index]!, { ...shared, a, m: rows, addend, addendStep, c, cStep: targetRow })
          },
          () => {
            const aTile = fn.local('i32', 'aTile', a)
            fn.forRange(0, rows, tuning.rows, (i) => {
              const m = fn.local('i32', 'm', min(i32.const(tuning.rows), i32.sub(rows, i)))
              const temporary = { addend: scratch, addendStep: 0, c: tile, cStep: 4 * width }
              fn.call(panels[index]!, { ...shared, a: aTile, m, ...temporary })
              const to = i32.add(target, i32.mul(i, targetRow))
              fn.call(scatter, {
                tile,
                tileStep: 4 * width,
                rows: m,
                targets,
                count,
                target: to,
                targetRow,
                accumulate,
              })
              fn.increment(aTile, aPanelStep)
            })
          },
        )
      })
      fn.increment(tables, tableBytes(width))
      fn.increment(b, i32.mul(k, 4 * width))
      fn.increment(columns, -width)
    })
  })
}

/** Emits the function that writes, or adds, the columns of a tile to where a table says. */
function emitScatter(module: ModuleBuilder) {
  const parameters = {
    tile: 'i32',
    tileStep: 'i32',
    rows: 'i32',
    targets: 'i32',
    count: 'i32',
    target: 'i32',
    targetRow: 'i32',
    accumulate: 'i32',
  } as const
  return module.function('convolutionScatter', parameters, 'void', (fn, given) => {
    const { tile, tileStep, rows, targets, count, target, targetRow, accumulate } = given
    fn.repeat(rows, () => {
      const source = fn.local('i32', 'source', tile)
      const entry = fn.local('i32', 'entry', targets)
      fn.repeat(count, () => {
        const to = fn.local('i32', 'to', i32.add(target, i32.load(entry)))
        fn.if(
          accumulate,
          () => fn.store('f32', to, f32.add(f32.load(source), f32.load(to))),
          () => fn.store('f32', to, f32.load(source)),
        )
        fn.increment(source, 4)
        fn.increment(entry, 4)
      })
      fn.increment(tile, tileStep)
      fn.increment(target, targetRow)
    })
  })
}
