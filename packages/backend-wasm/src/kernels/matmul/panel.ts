import type { FunctionHandle, ModuleBuilder, Operand } from '../../assembler/index.ts'
import { f32, i32 } from '../../assembler/index.ts'
import type { ALayout, TileFunction } from './tile.ts'
import { emitTile } from './tile.ts'
import type { MatmulTuning } from './tuning.ts'

/** How the panels of A lie in memory, as the functions of a column panel take it. */
export const aLayoutCode = {
  /** Packed by `packA`: step between columns is the number of rows of the panel. */
  packed: 0,
  /** Row-major, read in place. */
  rows: 1,
  /** Column-major, read in place. */
  columns: 2,
} as const

/** Parameters of the functions of a column panel. Addresses and steps are in bytes. */
export const panelParameters = {
  /** One of `aLayoutCode`. */
  layout: 'i32',
  a: 'i32',
  /** Step between the rows (`rows`) or columns (`columns`) of A; ignored for packed panels. */
  aStep: 'i32',
  /** Step from one row panel of A to the next. */
  aPanelStep: 'i32',
  m: 'i32',
  b: 'i32',
  bStep: 'i32',
  k: 'i32',
  addend: 'i32',
  addendStep: 'i32',
  c: 'i32',
  cStep: 'i32',
} as const

export type PanelFunction = FunctionHandle<typeof panelParameters, 'void'>

/**
 * Emits, for each tile width, a function that computes C[m, width] = A[m, k] · B[k, width] + addend by tiles of `tuning.rows` rows and a last
 * tile of the rest.
 */
export function emitPanels(module: ModuleBuilder, tuning: MatmulTuning): PanelFunction[] {
  return tuning.widths.map((vectors) => {
    const tiles = (layout: ALayout) =>
      Array.from({ length: tuning.rows }, (_, i) => {
        // Partial tiles run once for many full ones; their code is kept short.
        const unroll = i + 1 === tuning.rows ? tuning.unroll : Math.min(2, tuning.unroll)
        return emitTile(module, tuning.variant, { rows: i + 1, vectors }, layout, unroll)
      })
    return emitPanel(module, tuning, `matmulPanel${4 * vectors}`, tiles('columns'), tiles('rows'))
  })
}

function emitPanel(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  name: string,
  columnTiles: readonly TileFunction[],
  rowTiles: readonly TileFunction[],
): PanelFunction {
  return module.function(name, panelParameters, 'void', (fn, parameters) => {
    const { layout, a, aStep, aPanelStep, m, b, bStep, k, addend, addendStep, c, cStep } = parameters
    const tile = (rows: number) => {
      const rest = { a, b, bStep, k, addend, addendStep, c, cStep }
      const call = (target: TileFunction, step: Operand<'i32'>) => fn.call(target, { ...rest, aStep: step })
      fn.if(
        i32.eq(layout, aLayoutCode.rows),
        () => call(rowTiles[rows - 1]!, aStep),
        () => {
          fn.if(i32.eq(layout, aLayoutCode.packed), () => fn.set(aStep, 4 * rows))
          call(columnTiles[rows - 1]!, aStep)
        },
      )
    }
    const addendPanelStep = fn.local('i32', 'addendPanelStep', i32.mul(addendStep, tuning.rows))
    const cPanelStep = fn.local('i32', 'cPanelStep', i32.mul(cStep, tuning.rows))
    fn.while(i32.geS(m, tuning.rows), () => {
      tile(tuning.rows)
      fn.increment(a, aPanelStep)
      fn.increment(addend, addendPanelStep)
      fn.increment(c, cPanelStep)
      fn.increment(m, -tuning.rows)
    })
    for (let rows = 1; rows < tuning.rows; rows++) fn.if(i32.eq(m, rows), () => tile(rows))
  })
}

/** Parameters of the function that adds and stores a tile element by element. Addresses and steps are in bytes. */
export const scatterParameters = {
  tile: 'i32',
  tileStep: 'i32',
  rows: 'i32',
  columns: 'i32',
  addend: 'i32',
  addendRowStep: 'i32',
  addendColumnStep: 'i32',
  c: 'i32',
  cRowStep: 'i32',
  cColumnStep: 'i32',
} as const

/** Emits the function that writes a tile to C with any strides: C[rows, columns] = tile + addend. */
export function emitScatter(module: ModuleBuilder): FunctionHandle<typeof scatterParameters, 'void'> {
  return module.function('matmulScatter', scatterParameters, 'void', (fn, parameters) => {
    const { tile, tileStep, rows, columns, addend, addendRowStep, addendColumnStep, c, cRowStep, cColumnStep } =
      parameters
    fn.while(i32.gtS(rows, 0), () => {
      const source = fn.local('i32', 'source', tile)
      const added = fn.local('i32', 'added', addend)
      const target = fn.local('i32', 'target', c)
      fn.repeat(columns, () => {
        fn.store('f32', target, f32.add(f32.load(source), f32.load(added)))
        fn.increment(source, 4)
        fn.increment(added, addendColumnStep)
        fn.increment(target, cColumnStep)
      })
      fn.increment(tile, tileStep)
      fn.increment(addend, addendRowStep)
      fn.increment(c, cRowStep)
      fn.increment(rows, -1)
    })
  })
}
