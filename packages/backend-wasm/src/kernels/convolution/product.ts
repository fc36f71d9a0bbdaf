import type { FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32x4, i32, select } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { emitPackA } from '../matmul/pack.ts'
import { aLayoutCode, emitPanels } from '../matmul/panel.ts'
import { min, tileScratchBytes } from '../matmul/tiles.ts'
import { matmulTuning, tileColumns } from '../matmul/tuning.ts'
import { emitBlock } from './block.ts'
import { type DescriptorWord, filterLayout, word } from './descriptor.ts'
import { emitFilters, emitPatches, emitTables, tableBytes } from './patches.ts'

/** Parameters of the product of filters and patches. `scratch` is the calling thread's own. */
export const productParameters = {
  descriptor: 'i32',
  source: 'i32',
  filter: 'i32',
  target: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** Parameters of one unit of a convolution with an epilogue; `stage` is the place of the unit's result. */
export const convolutionUnitParameters = {
  descriptor: 'i32',
  source: 'i32',
  filter: 'i32',
  stage: 'i32',
  scratch: 'i32',
  unit: 'i32',
} as const

/** The functions of the product of filters and patches in a module. */
export interface ProductFunctions {
  /** Every thread of a group calls it with its index. */
  readonly whole: FunctionHandle<typeof productParameters, 'void'>
  /** One unit of work: a rectangle of rows and positions of one image and group, in order of images, groups, rows, positions. */
  readonly unit: FunctionHandle<typeof convolutionUnitParameters, 'void'>
}

/**
 * Emits the convolution as a product of filters with patches of the source that are packed where they are used, so that they never exist as
 * a whole ("implicit GEMM": Chetlur et al., "cuDNN", 2014, section 3.1). Blocks as in the matrix product, whose tiles it uses: patches of
 * some channels for many columns, filters for some rows, and the tiles over them.
 */
export function emitProduct(module: ModuleBuilder, variant: Variant): ProductFunctions {
  const tuning = matmulTuning(variant)
  const width = tileColumns(tuning)
  const block = emitBlock(module, tuning, emitPanels(module, tuning))
  const packA = emitPackA(module, tuning)
  const tables = emitTables(module, width)
  const patches = emitPatches(module, tuning.widths[0])
  const filters = emitFilters(module, tuning.rows)

  const part = module.function(
    'convolutionPart',
    {
      descriptor: 'i32',
      source: 'i32',
      filter: 'i32',
      target: 'i32',
      scratch: 'i32',
      row: 'i32',
      rowEnd: 'i32',
      column: 'i32',
      columnEnd: 'i32',
    },
    'void',
    (fn, { descriptor, source, filter, target, scratch, row, rowEnd, column, columnEnd }) => {
      const load = (name: DescriptorWord) => fn.local('i32', name, word(descriptor, name))
      const [channels, taps, layoutWord] = [load('channels'), load('taps'), load('filterLayout')]
      const [blockChannels, blockColumns, blockRows] = [load('blockChannels'), load('blockColumns'), load('blockRows')]
      const [filterRow, filterChannel, targetRow] = [load('filterRow'), load('filterChannel'), load('targetRow')]
      const sourceChannel = load('sourceChannel')
      const at = (name: DescriptorWord) => fn.local('i32', name, i32.add(scratch, word(descriptor, name)))
      const [tableStart, packedFilters, packedPatches] = [
        at('scratchTables'),
        at('scratchFilters'),
        at('scratchPatches'),
      ]
      for (let offset = 0; offset < tileScratchBytes(tuning).zeros; offset += 16) {
        fn.store('v128', scratch, f32x4.splat(0), offset)
      }
      fn.forRange(column, columnEnd, blockColumns, (j) => {
        const columns = fn.local('i32', 'columns', min(blockColumns, i32.sub(columnEnd, j)))
        fn.call(tables, { descriptor, tables: tableStart, first: j, count: columns })
        fn.forRange(0, channels, blockChannels, (c) => {
          const depth = fn.local('i32', 'depth', min(blockChannels, i32.sub(channels, c)))
          const k = fn.local('i32', 'k', i32.mul(depth, taps))
          const table = fn.local('i32', 'table', tableStart)
          const destination = fn.local('i32', 'destination', packedPatches)
          fn.forRange(0, columns, width, () => {
            const from = i32.add(source, i32.mul(c, sourceChannel))
            fn.call(patches, { descriptor, source: from, channels: depth, table, destination, rowStep: 4 * width })
            fn.increment(table, tableBytes(width))
            fn.increment(destination, i32.mul(k, 4 * width))
          })
          fn.forRange(row, rowEnd, blockRows, (i) => {
            const rows = fn.local('i32', 'rows', min(blockRows, i32.sub(rowEnd, i)))
            const a = fn.local('i32', 'a', i32.add(filter, i32.add(i32.mul(i, filterRow), i32.mul(c, filterChannel))))
            const layout = fn.local('i32', 'layout', aLayoutCode.packed)
            const aPanelStep = fn.local('i32', 'aPanelStep', i32.mul(k, 4 * tuning.rows))
            fn.if(i32.eq(layoutWord, filterLayout.contiguous), () => {
              fn.call(packA, { source: a, step: filterRow, kStep: 4, count: rows, k, destination: packedFilters })
              fn.set(a, packedFilters)
            })
            fn.if(i32.eq(layoutWord, filterLayout.picked), () => {
              fn.call(filters, { descriptor, source: a, count: rows, channels: depth, destination: packedFilters })
              fn.set(a, packedFilters)
            })
            fn.if(i32.eq(layoutWord, filterLayout.inPlace), () => {
              fn.set(layout, aLayoutCode.rows)
              fn.set(aPanelStep, i32.mul(filterRow, tuning.rows))
            })
            fn.call(block, {
              panels: packedPatches,
              isNarrow: 0,
              tables: tableStart,
              columns,
              layout,
              a,
              aStep: filterRow,
              aPanelStep,
              rows,
              k,
              target: i32.add(target, i32.mul(i, targetRow)),
              targetRow,
              accumulate: c,
              scratch,
            })
          })
        })
      })
    },
  )

  const whole = module.function('convolutionProduct', productParameters, 'void', (fn, parameters) => {
    const { descriptor, source, filter, target, scratch, thread, threads } = parameters
    const load = (name: DescriptorWord) => fn.local('i32', name, word(descriptor, name))
    const [units, unit, rows, columns] = [load('units'), load('unit'), load('rows'), load('columns')]
    const total = fn.local('i32', 'total', i32.mul(units, word(descriptor, 'groups')))
    const from = fn.local('i32', 'from', i32.divU(i32.mul(total, thread), threads))
    const to = fn.local('i32', 'to', i32.divU(i32.mul(total, i32.add(thread, 1)), threads))
    fn.while(i32.ltS(from, to), () => {
      const group = fn.local('i32', 'group', i32.divU(from, units))
      const first = fn.local('i32', 'first', i32.remU(from, units))
      const count = fn.local('i32', 'count', min(i32.sub(units, first), i32.sub(to, from)))
      const start = fn.local('i32', 'start', i32.mul(first, unit))
      const end = fn.local('i32', 'end', i32.add(start, i32.mul(count, unit)))
      const ofGroup = (base: Local<'i32'>, name: DescriptorWord) =>
        i32.add(base, i32.mul(group, word(descriptor, name)))
      const byRows = fn.local('i32', 'byRows', word(descriptor, 'splitRows'))
      fn.call(part, {
        descriptor,
        source: ofGroup(source, 'sourceGroup'),
        filter: ofGroup(filter, 'filterGroup'),
        target: ofGroup(target, 'targetGroup'),
        scratch,
        row: select(byRows, start, i32.const(0)),
        rowEnd: select(byRows, min(end, rows), rows),
        column: select(byRows, i32.const(0), start),
        columnEnd: select(byRows, columns, min(end, columns)),
      })
      fn.increment(from, count)
    })
  })
  const unit = module.function('convolutionUnit', convolutionUnitParameters, 'void', (fn, parameters) => {
    const { descriptor, source, filter, stage, scratch, unit } = parameters
    const load = (name: DescriptorWord) => fn.local('i32', name, word(descriptor, name))
    const [rowUnits, columnUnits, groups] = [load('rowUnits'), load('columnUnits'), load('groups')]
    const [unitRows, unitColumns, targetRow] = [load('unitRows'), load('unitColumns'), load('targetRow')]
    const perMatrix = fn.local('i32', 'perMatrix', i32.mul(rowUnits, columnUnits))
    const within = fn.local('i32', 'within', i32.remU(unit, perMatrix))
    const matrix = fn.local('i32', 'matrix', i32.divU(unit, perMatrix))
    const group = fn.local('i32', 'group', i32.remU(matrix, groups))
    const image = fn.local('i32', 'image', i32.divU(matrix, groups))
    const positions = fn.local(
      'i32',
      'positions',
      i32.mul(i32.mul(word(descriptor, 'gridZ'), word(descriptor, 'gridY')), word(descriptor, 'gridX')),
    )
    const row = fn.local('i32', 'row', i32.mul(i32.divU(within, columnUnits), unitRows))
    const column = fn.local('i32', 'column', i32.mul(i32.remU(within, columnUnits), unitColumns))
    const columnEnd = fn.local('i32', 'columnEnd', min(i32.add(column, unitColumns), positions))
    const before = fn.local('i32', 'before', i32.mul(image, positions))
    // The tables count positions from the beginning of the image.
    const target = i32.sub(i32.sub(stage, i32.mul(row, targetRow)), i32.shl(column, 2))
    fn.call(part, {
      descriptor,
      source: i32.add(source, i32.mul(group, word(descriptor, 'sourceGroup'))),
      filter: i32.add(filter, i32.mul(group, word(descriptor, 'filterGroup'))),
      target,
      scratch,
      row,
      rowEnd: min(i32.add(row, unitRows), word(descriptor, 'rows')),
      column: i32.add(before, column),
      columnEnd: i32.add(before, columnEnd),
    })
  })
  return { whole, unit }
}
