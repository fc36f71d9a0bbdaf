import { type FunctionHandle, i32, type ModuleBuilder, select, type WasmEnvironment } from '@tessera/backend-wasm'
import {
  aLayoutCode,
  emitPanels,
  type MatmulTuning,
  matmulTuning,
  type PanelFunction,
} from '@tessera/backend-wasm/kernel'
import type { Algorithm } from '../algorithms.ts'
import { panelOffset, rowBytes } from './filters.ts'
import { emitTables, geometryWords } from './geometry.ts'
import { emitTiles } from './lanes.ts'
import { type Stages, stagesIn, storeZeros } from './stages.ts'
import { blockDepth, blockRows, chooseNarrowest, min, widthOf } from './tuning.ts'
import { wordTable } from './words.ts'

/** What the functions of a convolution read from the data of its call; distances in bytes. */
export const words = /* @__PURE__ */ wordTable([
  ...geometryWords,
  'filterStep',
  'filterBlock',
  'filterStream',
  'lastFilterStream',
  'blockTiles',
  'dataStep',
  'resultRow',
  'resultStep',
  'splitRows',
  'unit',
  'units',
  'unitRows',
  'unitTileRows',
  'columnUnits',
  'unitsOfImage',
  'scratchSource',
  'scratchTarget',
  'scratchData',
  'scratchResult',
] as const)
export type Word = Parameters<typeof words.load>[1]

const partParameters = {
  data: 'i32',
  source: 'i32',
  filters: 'i32',
  target: 'i32',
  scratch: 'i32',
  row: 'i32',
  rowEnd: 'i32',
  tile: 'i32',
  tileEnd: 'i32',
} as const

/**
 * The function of a module that computes some rows of some tiles: tiles of the source are transformed, multiplied with the filters in α² matrix
 * products, whose sums over channels are transformed back.
 */
export function partIn(
  module: ModuleBuilder,
  environment: WasmEnvironment,
  algorithm: Algorithm,
): FunctionHandle<typeof partParameters, 'void'> {
  const make = () => {
    const tuning = matmulTuning(environment.variant)
    return emitPart(module, algorithm, tuning, stagesIn(module, environment, algorithm))
  }
  return environment.helper(`winograd/part${algorithm.size}`, make)
}

function emitPart(
  module: ModuleBuilder,
  algorithm: Algorithm,
  tuning: MatmulTuning,
  stages: Stages,
): FunctionHandle<typeof partParameters, 'void'> {
  const { size } = algorithm
  const width = widthOf(tuning)
  const tiles = emitTiles(module)
  const multiply = emitMultiply(module, algorithm, tuning, emitPanels(module, tuning))
  return module.function('winogradPart', partParameters, 'void', (fn, parameters) => {
    const { data, source, filters, target, scratch, row, rowEnd, tile, tileEnd } = parameters
    const load = (word: Word) => fn.local('i32', word, words.load(data, word))
    const at = (word: Word) => fn.local('i32', word, i32.add(scratch, words.load(data, word)))
    const [channels, blockTiles] = [load('channels'), load('blockTiles')]
    const [sourceTable, targetTable] = [at('scratchSource'), at('scratchTarget')]
    const [dataStart, resultStart] = [at('scratchData'), at('scratchResult')]
    const [dataStep, resultStep, resultRow] = [load('dataStep'), load('resultStep'), load('resultRow')]
    const filterStep = load('filterStep')
    const targetChannel = load('targetChannel')
    const rows = fn.local('i32', 'rows', i32.sub(rowEnd, row))
    const patch = fn.local('i32', 'patch', i32.add(scratch, 4 * width))
    const panelBytes = fn.local('i32', 'panelBytes', i32.mul(channels, 4 * width))
    storeZeros(fn, scratch, tuning)
    // Blocks of about the same size: each reads all filters.
    const ownTiles = i32.sub(tileEnd, tile)
    const blocks = i32.divU(i32.add(ownTiles, i32.sub(blockTiles, 1)), blockTiles)
    const share = i32.divU(i32.add(ownTiles, i32.sub(blocks, 1)), blocks)
    const block = fn.local('i32', 'block', i32.and(i32.add(share, width - 1), -width))
    fn.forRange(tile, tileEnd, block, (first) => {
      const count = fn.local('i32', 'count', min(block, i32.sub(tileEnd, first)))
      const padded = fn.local('i32', 'padded', i32.and(i32.add(count, width - 1), -width))
      const tables = { source: sourceTable, target: targetTable }
      emitTables(fn, algorithm, tiles, (word) => words.load(data, word), { first, count, padded }, tables)
      fn.call(stages.source, {
        table: sourceTable,
        plane: source,
        channels,
        channelStep: words.load(data, 'sourceChannel'),
        rowStep: words.load(data, 'sourceRow'),
        patch,
        target: dataStart,
        productStep: dataStep,
        panelBytes,
        padded,
      })
      const [a, b, c] = [
        fn.local('i32', 'a', filters),
        fn.local('i32', 'b', dataStart),
        fn.local('i32', 'c', resultStart),
      ]
      fn.repeat(size * size, () => {
        fn.call(multiply, {
          data,
          a,
          row,
          b,
          panelBytes,
          c,
          cStep: resultRow,
          rows,
          channels,
          tiles: count,
          zeros: scratch,
        })
        fn.increment(a, filterStep)
        fn.increment(b, dataStep)
        fn.increment(c, resultStep)
      })
      fn.call(stages.target, {
        table: targetTable,
        plane: i32.add(target, i32.mul(row, targetChannel)),
        rows,
        channelStep: targetChannel,
        rowStep: words.load(data, 'targetRow'),
        patch,
        source: resultStart,
        productStep: resultStep,
        resultRow,
        tiles: count,
      })
    })
  })
}

const multiplyParameters = {
  data: 'i32',
  /** The filters of the product, and the first row of them to take. */
  a: 'i32',
  row: 'i32',
  b: 'i32',
  panelBytes: 'i32',
  c: 'i32',
  cStep: 'i32',
  rows: 'i32',
  channels: 'i32',
  tiles: 'i32',
  zeros: 'i32',
} as const

/** Emits one of the products: `c[rows, tiles] = a[rows, channels] · b[channels, tiles]`, where a lies as `FilterMatrices` and b in panels of tiles. */
function emitMultiply(
  module: ModuleBuilder,
  { size }: Algorithm,
  tuning: MatmulTuning,
  panels: readonly PanelFunction[],
): FunctionHandle<typeof multiplyParameters, 'void'> {
  const width = widthOf(tuning)
  const most = blockDepth[size]
  return module.function('winogradMultiply', multiplyParameters, 'void', (fn, parameters) => {
    const { data, a, row, b, panelBytes, c, cStep, rows, channels, tiles, zeros } = parameters
    const load = (word: Word) => fn.local('i32', word, words.load(data, word))
    const [blockStep, stream, lastStream] = [load('filterBlock'), load('filterStream'), load('lastFilterStream')]
    fn.forRange(0, channels, most, (depth) => {
      const k = fn.local('i32', 'k', min(i32.const(most), i32.sub(channels, depth)))
      fn.forRange(0, rows, blockRows(tuning), (i) => {
        const m = fn.local('i32', 'm', min(i32.const(blockRows(tuning)), i32.sub(rows, i)))
        const panel = fn.local('i32', 'panel', i32.add(b, i32.mul(depth, 4 * width)))
        const into = fn.local('i32', 'into', i32.add(c, i32.mul(i, cStep)))
        const firstPanel = i32.divU(i32.add(row, i), tuning.rows)
        const left = fn.local('i32', 'left', i32.add(a, panelOffset({ most, blockStep }, [depth, k], firstPanel)))
        const aStep = fn.local('i32', 'aStep', select(i32.eq(k, most), stream, lastStream))
        const call = (target: PanelFunction) =>
          fn.call(target, {
            layout: aLayoutCode.rows,
            a: left,
            aStep,
            aPanelStep: rowBytes(k),
            m,
            b: panel,
            bStep: 4 * width,
            k,
            addend: select(depth, into, zeros),
            addendStep: select(depth, cStep, i32.const(0)),
            c: into,
            cStep,
          })
        fn.forRange(0, tiles, width, (j) => {
          chooseNarrowest(fn, tuning.widths, i32.sub(tiles, j), (index) => call(panels[index]!))
          fn.increment(panel, panelBytes)
          fn.increment(into, 4 * width)
        })
      })
    })
  })
}
