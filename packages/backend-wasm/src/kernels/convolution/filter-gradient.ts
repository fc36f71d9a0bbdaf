import type { FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32x4, i32, select } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { emitPackB } from '../matmul/pack.ts'
import { aLayoutCode, emitPanels } from '../matmul/panel.ts'
import { min, tileScratchBytes } from '../matmul/tiles.ts'
import { matmulTuning, tileColumns } from '../matmul/tuning.ts'
import { emitBlock } from './block.ts'
import { type DescriptorWord, word } from './descriptor.ts'
import { emitPatches, emitTables, panelTable, tableBytes } from './patches.ts'
import { productParameters } from './product.ts'

/**
 * Emits the gradient of a convolution to its filters, as a product of the gradient with the patches of the input over positions and
 * images. The descriptor is that of the convolution; `filter` is the gradient and `target` the result. Patches of some channels at some
 * positions of one image are packed as rows, then turned into the panels that tiles read. Sums run over images and positions in order.
 */
export function emitFilterGradient(
  module: ModuleBuilder,
  variant: Variant,
): FunctionHandle<typeof productParameters, 'void'> {
  const tuning = matmulTuning(variant)
  const width = tileColumns(tuning)
  const block = emitBlock(module, tuning, emitPanels(module, tuning))
  const packB = emitPackB(module, tuning)
  const tables = emitTables(module, width)
  const patches = emitPatches(module, tuning.widths[0])
  const targets = emitTargets(module, width)

  const part = module.function(
    'convolutionFilterPart',
    {
      descriptor: 'i32',
      source: 'i32',
      gradient: 'i32',
      target: 'i32',
      scratch: 'i32',
      row: 'i32',
      rowEnd: 'i32',
      channel: 'i32',
      channelEnd: 'i32',
    },
    'void',
    (fn, { descriptor, source, gradient, target, scratch, row, rowEnd, channel, channelEnd }) => {
      const load = (name: DescriptorWord) => fn.local('i32', name, word(descriptor, name))
      const [taps, blockChannels, blockColumns, blockRows] = [
        load('taps'),
        load('blockChannels'),
        load('blockColumns'),
        load('blockRows'),
      ]
      const [sourceChannel, filterRow, filterChannel] = [
        load('sourceChannel'),
        load('filterRow'),
        load('filterChannel'),
      ]
      const [gradientRow, gradientImage, total] = [load('targetRow'), load('targetImage'), load('columns')]
      const positions = fn.local('i32', 'positions', i32.shrU(gradientRow, 2))
      const at = (name: DescriptorWord) => fn.local('i32', name, i32.add(scratch, word(descriptor, name)))
      const [tableStart, targetTables, packedPatches, patchRows] = [
        at('scratchTables'),
        at('scratchFilters'),
        at('scratchPatches'),
        at('scratchRows'),
      ]
      for (let offset = 0; offset < tileScratchBytes(tuning).zeros; offset += 16) {
        fn.store('v128', scratch, f32x4.splat(0), offset)
      }
      fn.forRange(channel, channelEnd, blockChannels, (c) => {
        const depth = fn.local('i32', 'depth', min(blockChannels, i32.sub(channelEnd, c)))
        const columns = fn.local('i32', 'columns', i32.mul(depth, taps))
        fn.call(targets, { tables: targetTables, count: columns })
        const result = fn.local('i32', 'result', i32.add(target, i32.mul(c, filterChannel)))
        const errors = fn.local('i32', 'errors', gradient)
        const accumulate = fn.local('i32', 'accumulate', 0)
        fn.forRange(0, total, positions, (image) => {
          fn.forRange(0, positions, blockColumns, (p) => {
            const count = fn.local('i32', 'count', min(blockColumns, i32.sub(positions, p)))
            fn.call(tables, { descriptor, tables: tableStart, first: i32.add(image, p), count })
            const panels = i32.divU(i32.add(count, width - 1), width)
            const rowStep = fn.local('i32', 'rowStep', i32.mul(panels, 4 * width))
            const table = fn.local('i32', 'table', tableStart)
            const from = i32.add(source, i32.mul(c, sourceChannel))
            fn.forRange(0, rowStep, 4 * width, (offset) => {
              const destination = i32.add(patchRows, offset)
              fn.call(patches, { descriptor, source: from, channels: depth, table, destination, rowStep })
              fn.increment(table, tableBytes(width))
            })
            fn.call(packB, {
              source: patchRows,
              step: rowStep,
              kStep: 4,
              count: columns,
              k: count,
              destination: packedPatches,
            })
            fn.forRange(row, rowEnd, blockRows, (i) => {
              const rows = fn.local('i32', 'rows', min(blockRows, i32.sub(rowEnd, i)))
              fn.call(block, {
                panels: packedPatches,
                isNarrow: 1,
                tables: targetTables,
                columns,
                layout: aLayoutCode.rows,
                a: i32.add(errors, i32.add(i32.mul(i, gradientRow), i32.shl(p, 2))),
                aStep: gradientRow,
                aPanelStep: i32.mul(gradientRow, tuning.rows),
                rows,
                k: count,
                target: i32.add(result, i32.mul(i, filterRow)),
                targetRow: filterRow,
                accumulate,
                scratch,
              })
            })
            fn.set(accumulate, 1)
          })
          fn.increment(errors, gradientImage)
        })
      })
    },
  )

  return module.function('convolutionFilterGradient', productParameters, 'void', (fn, parameters) => {
    const { descriptor, source, filter, target, scratch, thread, threads } = parameters
    const load = (name: DescriptorWord) => fn.local('i32', name, word(descriptor, name))
    const [units, unit, rows, channels] = [load('units'), load('unit'), load('rows'), load('channels')]
    const total = fn.local('i32', 'total', i32.mul(units, word(descriptor, 'groups')))
    const from = fn.local('i32', 'from', i32.divU(i32.mul(total, thread), threads))
    const to = fn.local('i32', 'to', i32.divU(i32.mul(total, i32.add(thread, 1)), threads))
    const byRows = fn.local('i32', 'byRows', word(descriptor, 'splitRows'))
    fn.while(i32.ltS(from, to), () => {
      const group = fn.local('i32', 'group', i32.divU(from, units))
      const first = fn.local('i32', 'first', i32.remU(from, units))
      const count = fn.local('i32', 'count', min(i32.sub(units, first), i32.sub(to, from)))
      const start = fn.local('i32', 'start', i32.mul(first, unit))
      const end = fn.local('i32', 'end', i32.add(start, i32.mul(count, unit)))
      const ofGroup = (base: Local<'i32'>, name: DescriptorWord) =>
        i32.add(base, i32.mul(group, word(descriptor, name)))
      fn.call(part, {
        descriptor,
        source: ofGroup(source, 'sourceGroup'),
        gradient: ofGroup(filter, 'targetGroup'),
        target: ofGroup(target, 'filterGroup'),
        scratch,
        row: select(byRows, start, i32.const(0)),
        rowEnd: select(byRows, min(end, rows), rows),
        channel: select(byRows, i32.const(0), start),
        channelEnd: select(byRows, channels, min(end, channels)),
      })
      fn.increment(from, count)
    })
  })
}

/** Emits the function that writes the tables of neighbouring columns whose targets are neighbours. */
function emitTargets(module: ModuleBuilder, width: number): FunctionHandle<{ tables: 'i32'; count: 'i32' }, 'void'> {
  return module.function('convolutionTargets', { tables: 'i32', count: 'i32' }, 'void', (fn, { tables, count }) => {
    fn.increment(tables, 4 * width * panelTable.target)
    fn.forRange(0, count, width, (i) => {
      for (let lane = 0; lane < width; lane++) fn.store('i32', tables, i32.shl(i32.add(i, lane), 2), 4 * lane)
      fn.increment(tables, tableBytes(width))
    })
  })
}
