import {
  type FunctionHandle,
  i32,
  type Local,
  type ModuleBuilder,
  select,
  type WasmFunction,
} from '@tessera/backend-wasm'
import {
  aLayoutCode,
  emitPanels,
  type MatmulTuning,
  matmulTuning,
  type PanelFunction,
} from '@tessera/backend-wasm/kernel'
import { type Algorithm, taps } from '../algorithms.ts'
import type { ConvolutionLayout } from '../layout.ts'
import { emitFilterBlock, type FilterBlockShape, filterScratchBytes } from './filter-blocks.ts'
import { emitTables, geometryOf, geometryWords } from './geometry.ts'
import { emitTiles, entryBytes } from './lanes.ts'
import { stagesIn, storeZeros } from './stages.ts'
import { transformScratchBytes } from './transforms.ts'
import { align, chooseNarrowest, min, roundUp, spread, transientDepth, transientRows, widthOf } from './tuning.ts'
import { wordTable } from './words.ts'

const words = /* @__PURE__ */ wordTable([
  ...geometryWords,
  'filterRow',
  'filterColumn',
  'padded',
  'panelBytes',
  'dataStep',
  'resultRow',
  'resultStep',
  'stageChannel',
  'scratchSource',
  'scratchTarget',
  'scratchFilters',
  'scratchResult',
] as const)
type Word = Parameters<typeof words.load>[1]

/** A block of filters: lines are rows, or channels if the filters lie as `[channels, rows, 3, 3]`. */
function filterShapeOf(tuning: MatmulTuning, size: 4 | 6, turned: boolean): FilterBlockShape {
  const [rows, channels] = [roundUp(transientRows(tuning), 8), transientDepth[size]]
  // Not a multiple of a page: the products' operands of one filter lie in different sets of the cache.
  const productStep = 4 * rows * channels + 192
  return { most: turned ? rows : channels, together: turned ? 4 : 1, productStep, turned }
}

export interface TransientPlan {
  readonly words: Int32Array
  readonly sharedScratchBytes: number
  readonly threadScratchBytes: number
}

/**
 * Plans a convolution whose filters are transformed in passing.
 *
 * @param turned whether filters lie as `[channels, rows, 3, 3]`
 * @param stageColumns positions of an image, if the result of each unit goes to a place of its own; for one image only
 */
export function planTransient(
  { size }: Algorithm,
  layout: ConvolutionLayout,
  turned: boolean,
  tuning: MatmulTuning,
  stageColumns?: number,
): TransientPlan {
  const width = widthOf(tuning)
  const products = size * size
  const { rows, channels } = layout
  const geometry = geometryOf(layout, size)
  const padded = roundUp(geometry.tiles, width)
  const dataStep = spread(4 * padded * channels)
  const resultRow = 4 * padded
  const resultStep = spread(resultRow * transientRows(tuning))
  const filters = filterShapeOf(tuning, size, turned)
  const square = 4 * taps * taps
  const [filterRow, filterColumn] = turned ? [square, rows * square] : [channels * square, square]
  const scratchSource = align(4 * width + Math.max(transformScratchBytes(size), filterScratchBytes(filters)))
  const scratchTarget = align(scratchSource + entryBytes * padded)
  const scratchFilters = align(scratchTarget + entryBytes * padded)
  const scratchResult = align(scratchFilters + products * filters.productStep)
  return {
    words: words.encode({
      ...geometry,
      ...(stageColumns !== undefined && { targetImage: 0, targetChannel: 4 * stageColumns }),
      filterRow,
      filterColumn,
      padded,
      panelBytes: 4 * width * channels,
      dataStep,
      resultRow,
      resultStep,
      stageChannel: stageColumns === undefined ? 0 : 4 * stageColumns,
      scratchSource,
      scratchTarget,
      scratchFilters,
      scratchResult,
    }),
    sharedScratchBytes: products * dataStep,
    threadScratchBytes: align(scratchResult + products * resultStep),
  }
}

const sourceParameters = {
  data: 'i32',
  source: 'i32',
  shared: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** The first step: threads share the channels of all tiles. Each thread's tables of tiles stay in its scratch memory for the second step. */
export function transientSourceFunction(algorithm: Algorithm): WasmFunction<typeof sourceParameters> {
  const name = `winograd/transientSource${algorithm.size}`
  return {
    name,
    parameters: sourceParameters,
    define: (module, environment) => {
      const tuning = matmulTuning(environment.variant)
      const tiles = emitTiles(module)
      const stages = stagesIn(module, environment, algorithm)
      return module.function(name, sourceParameters, 'void', (fn, given) => {
        const { data, source, shared, scratch, thread, threads } = given
        const load = (word: Word) => fn.local('i32', word, words.load(data, word))
        const at = (word: Word) => fn.local('i32', word, i32.add(scratch, words.load(data, word)))
        const [channels, channelStep, padded] = [load('channels'), load('sourceChannel'), load('padded')]
        const tables = { source: at('scratchSource'), target: at('scratchTarget') }
        const first = fn.local('i32', 'first', 0)
        const range = { first, count: load('tiles'), padded }
        emitTables(fn, algorithm, tiles, (word) => words.load(data, word), range, tables)
        const channel = fn.local('i32', 'channel', i32.divU(i32.mul(channels, thread), threads))
        const end = i32.divU(i32.mul(channels, i32.add(thread, 1)), threads)
        fn.call(stages.source, {
          table: tables.source,
          plane: i32.add(source, i32.mul(channel, channelStep)),
          channels: i32.sub(end, channel),
          channelStep,
          rowStep: words.load(data, 'sourceRow'),
          patch: i32.add(scratch, 4 * widthOf(tuning)),
          target: i32.add(shared, i32.mul(channel, 4 * widthOf(tuning))),
          productStep: words.load(data, 'dataStep'),
          panelBytes: words.load(data, 'panelBytes'),
          padded,
        })
      })
    },
  }
}

const unitParameters = {
  data: 'i32',
  filters: 'i32',
  shared: 'i32',
  target: 'i32',
  scratch: 'i32',
  unit: 'i32',
} as const

/**
 * The second step, in units of some rows: their filters are transformed, some channels at a time, and multiplied with all tiles while they are in
 * the second-level cache. Transformed filters are α²/9 times as large as the filters, and never written to memory as a whole.
 */
export function transientUnitFunction(algorithm: Algorithm, turned: boolean): WasmFunction<typeof unitParameters> {
  const { size } = algorithm
  const name = `winograd/transientUnit${size}${turned ? 'Turned' : ''}`
  const most = transientDepth[size]
  return {
    name,
    parameters: unitParameters,
    define: (module, environment) => {
      const tuning = matmulTuning(environment.variant)
      const width = widthOf(tuning)
      const groupRows = transientRows(tuning)
      const shape = filterShapeOf(tuning, size, turned)
      const transform = emitFilterBlock(module, environment.variant, algorithm, shape)
      const multiply = environment.helper(`winograd/multiplyBlock${turned ? 'Turned' : ''}${size}`, () =>
        emitMultiply(module, tuning, shape),
      )
      const stages = stagesIn(module, environment, algorithm)
      return module.function(name, unitParameters, 'void', (fn, given) => {
        const { data, filters, shared, target, scratch, unit } = given
        const load = (word: Word) => fn.local('i32', word, words.load(data, word))
        const at = (word: Word) => fn.local('i32', word, i32.add(scratch, words.load(data, word)))
        const [channels, tiles, targetChannel] = [load('channels'), load('tiles'), load('targetChannel')]
        const [filterRow, filterColumn] = [load('filterRow'), load('filterColumn')]
        const [panelBytes, dataStep] = [load('panelBytes'), load('dataStep')]
        const [resultRow, resultStep] = [load('resultRow'), load('resultStep')]
        const [block, results] = [at('scratchFilters'), at('scratchResult')]
        const patch = fn.local('i32', 'patch', i32.add(scratch, 4 * width))
        const row = fn.local('i32', 'row', i32.mul(unit, groupRows))
        const rows = fn.local('i32', 'rows', min(i32.const(groupRows), i32.sub(words.load(data, 'rows'), row)))
        storeZeros(fn, scratch, tuning)
        fn.forRange(0, channels, most, (depth) => {
          const k = fn.local('i32', 'k', min(i32.const(most), i32.sub(channels, depth)))
          const first = i32.add(filters, i32.add(i32.mul(row, filterRow), i32.mul(depth, filterColumn)))
          const lines = turned
            ? { lines: k, count: rows, sourceStep: filterColumn }
            : { lines: rows, count: k, sourceStep: filterRow }
          fn.call(transform, { source: first, target: block, targetStep: 4 * shape.most, scratch: patch, ...lines })
          const a = fn.local('i32', 'a', block)
          const b = fn.local('i32', 'b', i32.add(shared, i32.mul(depth, 4 * width)))
          const c = fn.local('i32', 'c', results)
          const [addend, addendStep] = [fn.local('i32', 'addend', scratch), fn.local('i32', 'addendStep', 0)]
          fn.repeat(size * size, () => {
            fn.if(depth, () => {
              fn.set(addend, c)
              fn.set(addendStep, resultRow)
            })
            fn.call(multiply, { a, b, panelBytes, c, cStep: resultRow, addend, addendStep, rows, k, tiles })
            fn.increment(a, shape.productStep)
            fn.increment(b, dataStep)
            fn.increment(c, resultStep)
          })
        })
        fn.call(stages.target, {
          table: at('scratchTarget'),
          // A staged result begins at its own place.
          plane: i32.add(target, i32.mul(row, i32.sub(targetChannel, load('stageChannel')))),
          rows,
          channelStep: targetChannel,
          rowStep: words.load(data, 'targetRow'),
          patch,
          source: results,
          productStep: resultStep,
          resultRow,
          tiles,
        })
      })
    },
  }
}

const multiplyParameters = {
  a: 'i32',
  b: 'i32',
  panelBytes: 'i32',
  c: 'i32',
  cStep: 'i32',
  addend: 'i32',
  addendStep: 'i32',
  rows: 'i32',
  k: 'i32',
  tiles: 'i32',
} as const

/** Emits one of the products of a block of filters: `c[rows, tiles] = a · b[k, tiles] + addend`, where b lies in panels of tiles. */
function emitMultiply(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  { turned, most }: FilterBlockShape,
): FunctionHandle<typeof multiplyParameters, 'void'> {
  const width = widthOf(tuning)
  const panels = emitPanels(module, tuning)
  const left = {
    layout: turned ? aLayoutCode.columns : aLayoutCode.rows,
    aStep: 4 * most,
    aPanelStep: 4 * (turned ? 1 : most) * tuning.rows,
  }
  return module.function('winogradMultiplyBlock', multiplyParameters, 'void', (fn, parameters) => {
    const { a, b, panelBytes, c, cStep, addend, addendStep, rows, k, tiles } = parameters
    const isFirst = fn.local('i32', 'isFirst', i32.eqz(addendStep))
    const step: Local<'i32'> = fn.local('i32', 'step', select(isFirst, i32.const(0), i32.const(4 * width)))
    const call = (panel: PanelFunction) =>
      fn.call(panel, { ...left, a, m: rows, b, bStep: 4 * width, k, addend, addendStep, c, cStep })
    fn.forRange(0, tiles, width, (tile) => {
      chooseNarrowest(fn, tuning.widths, i32.sub(tiles, tile), (index) => call(panels[index]!))
      fn.increment(b, panelBytes)
      fn.increment(c, 4 * width)
      fn.increment(addend, step)
    })
  })
}
