import {
  type FunctionBuilder,
  type FunctionHandle,
  i32,
  type Local,
  type ModuleBuilder,
  select,
  type WasmEnvironment,
  type WasmFunction,
} from '@tessera/backend-wasm'
import {
  aLayoutCode,
  emitPanels,
  type MatmulTuning,
  matmulTuning,
  type PanelFunction,
} from '@tessera/backend-wasm/kernel'
import type { Algorithm } from '../algorithms.ts'
import type { ConvolutionLayout } from '../layout.ts'
import { square } from './filter-blocks.ts'
import { emitTables, geometryOf, geometryWords } from './geometry.ts'
import { emitGradientBlock, type GradientBlockShape, gradientScratchBytes } from './gradient-blocks.ts'
import { emitChannels, emitTiles, entryBytes } from './lanes.ts'
import type { ProductPlan } from './product.ts'
import { storeZeros } from './stages.ts'
import { emitToProducts, transformScratchBytes } from './transforms.ts'
import {
  align,
  chooseNarrowest,
  gradientChannels,
  gradientRows,
  gradientTiles,
  min,
  spread,
  widthOf,
} from './tuning.ts'
import { wordTable } from './words.ts'

/** Targets are the errors of the result. */
const words = /* @__PURE__ */ wordTable([
  ...geometryWords,
  'blockTiles',
  'tileRow',
  'panelBytes',
  'dataStep',
  'errorStep',
  'unitChannels',
  'rowUnits',
  'units',
  'sharedErrors',
  'sharedSums',
  'scratchInputTable',
  'scratchErrorTable',
  'scratchChannels',
  'scratchLastChannels',
  'scratchSums',
] as const)
type Word = Parameters<typeof words.load>[1]

const parameters = {
  data: 'i32',
  input: 'i32',
  errors: 'i32',
  target: 'i32',
  /** The operands of the products and, if there are several blocks of tiles, their sums, for all threads. */
  shared: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** Of a unit, some rows and channels, the sums. */
function sumShapeOf(tuning: MatmulTuning, size: 4 | 6): GradientBlockShape {
  const most = gradientChannels[size]
  // Not a multiple of a page: the sums of one filter lie in different sets of the cache.
  return { most, productStep: 4 * gradientRows(tuning) * most + 192 }
}

/** Plans the gradient to the filters of the convolution of `layout`. */
export function planFilterGradient(
  { size }: Algorithm,
  layout: ConvolutionLayout,
  tuning: MatmulTuning,
  threads: number,
): ProductPlan & { readonly sharedScratchBytes: number } {
  const width = widthOf(tuning)
  const products = size * size
  const { rows, channels } = layout
  const geometry = geometryOf(layout, size)
  const blockTiles = gradientTiles(layout, size)
  const tileRow = 4 * blockTiles
  const panelBytes = tileRow * width
  const [dataStep, errorStep] = [spread(panelBytes * Math.ceil(channels / width)), spread(tileRow * rows)]
  const sharedErrors = align(products * dataStep)
  const sharedSums = align(sharedErrors + products * errorStep)
  const rowUnits = Math.ceil(rows / gradientRows(tuning))
  // Enough units for threads to end at about the same time.
  let unitChannels: number = gradientChannels[size]
  while (unitChannels > 2 * width && rowUnits * Math.ceil(channels / unitChannels) < 12 * (threads - 1))
    unitChannels /= 2
  const units = rowUnits * Math.ceil(channels / unitChannels)
  const shape = sumShapeOf(tuning, size)
  const sums = align(products * shape.productStep)
  const scratchInputTable = align(4 * width + Math.max(transformScratchBytes(size), gradientScratchBytes(shape)))
  const scratchErrorTable = align(scratchInputTable + entryBytes * blockTiles)
  const scratchChannels = align(scratchErrorTable + entryBytes * blockTiles)
  const scratchLastChannels = align(scratchChannels + 4 * entryBytes * blockTiles)
  const scratchSums = align(scratchLastChannels + 4 * entryBytes * blockTiles)
  return {
    words: words.encode({
      ...geometry,
      blockTiles,
      tileRow,
      panelBytes,
      dataStep,
      errorStep,
      unitChannels,
      rowUnits,
      units,
      sharedErrors,
      sharedSums,
      scratchInputTable,
      scratchErrorTable,
      scratchChannels,
      scratchLastChannels,
      scratchSums,
    }),
    sharedScratchBytes: sharedSums + (geometry.tiles > blockTiles ? units * sums : 0),
    threadScratchBytes: scratchSums + sums,
  }
}

type Body = FunctionBuilder<typeof parameters, 'void'>

/**
 * The gradient to 3 × 3 filters by F(3×3, m×m) (Lavin & Gray 2016, section 4.2): tiles of m × m errors act as filters on tiles of the input, and
 * the products of all tiles and images are summed before they are transformed back. For some tiles at a time, threads share first the
 * channels to transform, then units of some rows and channels of the products. The sums of a unit fit the second-level cache: after the last tiles they are transformed
 * back there, and go to memory only between blocks of tiles.
 */
export function filterGradientFunction(algorithm: Algorithm): WasmFunction<typeof parameters> {
  const { size } = algorithm
  const name = `winograd/filterGradient${size}`
  return {
    name,
    parameters,
    define: (module, environment) => {
      const tuning = matmulTuning(environment.variant)
      const transform = emitTransform(module, algorithm, tuning)
      const unit = emitUnit(module, algorithm, tuning)
      return module.function(name, parameters, 'void', (fn, given) => {
        const { data, shared, scratch, target, thread, threads } = given
        const load = (word: Word) => fn.local('i32', word, words.load(data, word))
        const [tiles, blockTiles, units] = [load('tiles'), load('blockTiles'), load('units')]
        storeZeros(fn, scratch, tuning)
        fn.forRange(0, tiles, blockTiles, (first) => {
          const count = fn.local('i32', 'count', min(blockTiles, i32.sub(tiles, first)))
          fn.call(transform, {
            data,
            shared,
            scratch,
            first,
            count,
            thread,
            threads,
            input: given.input,
            errors: given.errors,
          })
          wait(fn, environment, threads)
          const end = i32.divU(i32.mul(units, i32.add(thread, 1)), threads)
          fn.forRange(i32.divU(i32.mul(units, thread), threads), end, 1, (index) => {
            fn.call(unit, { data, shared, scratch, target, first, count, unit: index })
          })
          wait(fn, environment, threads)
        })
      })
    },
  }
}

function wait(fn: Body, environment: WasmEnvironment, threads: Local<'i32'>): void {
  const barrier = environment.barrier()
  if (barrier) fn.call(barrier, { threads })
}

const transformParameters = {
  data: 'i32',
  shared: 'i32',
  scratch: 'i32',
  first: 'i32',
  count: 'i32',
  thread: 'i32',
  threads: 'i32',
  input: 'i32',
  errors: 'i32',
} as const

/** Emits the transforms of some tiles of input and errors to the operands of the products; threads share the channels of both. */
function emitTransform(
  module: ModuleBuilder,
  algorithm: Algorithm,
  tuning: MatmulTuning,
): FunctionHandle<typeof transformParameters, 'void'> {
  const tiles = emitTiles(module)
  const channelLanes = emitChannels(module)
  const inputTransform = emitToProducts(module, 'winogradInput', tuning.variant, algorithm.input)
  const errorTransform = emitToProducts(module, 'winogradError', tuning.variant, algorithm.error)
  const width = widthOf(tuning)
  return module.function('winogradFilterTransform', transformParameters, 'void', (fn, parameters) => {
    const { data, shared, scratch, first, count, input, errors, thread, threads } = parameters
    const load = (word: Word) => fn.local('i32', word, words.load(data, word))
    const at = (word: Word) => fn.local('i32', word, i32.add(scratch, words.load(data, word)))
    const [channels, channelStep, rowStep] = [load('channels'), load('sourceChannel'), load('sourceRow')]
    const [dataStep, panelBytes] = [load('dataStep'), load('panelBytes')]
    const patch = fn.local('i32', 'patch', i32.add(scratch, 4 * width))
    const [inputTable, errorTable] = [at('scratchInputTable'), at('scratchErrorTable')]
    const [whole, last] = [at('scratchChannels'), at('scratchLastChannels')]
    const padded = fn.local('i32', 'padded', i32.and(i32.add(count, 3), -4))
    const tables = { source: inputTable, target: errorTable }
    emitTables(fn, algorithm, tiles, (word) => words.load(data, word), { first, count, padded }, tables)
    const ofLanes = { table: inputTable, count, channelStep }
    fn.call(channelLanes, { ...ofLanes, target: whole, channels: 4 })
    fn.call(channelLanes, { ...ofLanes, target: last, channels: i32.and(channels, 3) })
    // Panels hold the channels of a tile side by side, so that four of them are the lanes of a transform.
    const groups = fn.local('i32', 'groups', i32.shrU(i32.add(channels, 3), 2))
    const groupEnd = i32.divU(i32.mul(groups, i32.add(thread, 1)), threads)
    fn.forRange(i32.divU(i32.mul(groups, thread), threads), groupEnd, 1, (group) => {
      const channel = fn.local('i32', 'channel', i32.shl(group, 2))
      const isWhole = i32.leS(i32.add(channel, 4), channels)
      const entry = fn.local('i32', 'entry', select(isWhole, whole, last))
      const plane = fn.local('i32', 'plane', i32.add(input, i32.mul(channel, channelStep)))
      const panel = i32.mul(i32.divU(channel, width), panelBytes)
      const inPanel = i32.shl(i32.remU(channel, width), 2)
      const into = fn.local('i32', 'into', i32.add(shared, i32.add(panel, inPanel)))
      fn.repeat(count, () => {
        const lanes = { table: entry, plane, rowStep, scratch: patch }
        fn.call(inputTransform, { ...lanes, target: into, productStep: dataStep })
        fn.increment(entry, 4 * entryBytes)
        fn.increment(into, 4 * width)
      })
    })
    const [rows, errorStep, tileRow] = [load('rows'), load('errorStep'), load('tileRow')]
    const [errorChannel, errorRow] = [load('targetChannel'), load('targetRow')]
    const sharedErrors = fn.local('i32', 'sharedErrors', i32.add(shared, words.load(data, 'sharedErrors')))
    const rowEnd = i32.divU(i32.mul(rows, i32.add(thread, 1)), threads)
    fn.forRange(i32.divU(i32.mul(rows, thread), threads), rowEnd, 1, (row) => {
      const entry = fn.local('i32', 'entry', errorTable)
      const plane = fn.local('i32', 'plane', i32.add(errors, i32.mul(row, errorChannel)))
      const into = fn.local('i32', 'into', i32.add(sharedErrors, i32.mul(row, tileRow)))
      fn.forRange(0, count, 4, () => {
        const lanes = { table: entry, plane, rowStep: errorRow, scratch: patch }
        fn.call(errorTransform, { ...lanes, target: into, productStep: errorStep })
        fn.increment(entry, 4 * entryBytes)
        fn.increment(into, 16)
      })
    })
  })
}

const unitParameters = {
  data: 'i32',
  shared: 'i32',
  scratch: 'i32',
  target: 'i32',
  first: 'i32',
  count: 'i32',
  unit: 'i32',
} as const

/** Emits the products of one unit and one block of tiles, added to the unit's sums, and after the last block their way back to filters. */
function emitUnit(
  module: ModuleBuilder,
  algorithm: Algorithm,
  tuning: MatmulTuning,
): FunctionHandle<typeof unitParameters, 'void'> {
  const { size } = algorithm
  const width = widthOf(tuning)
  const panels = emitPanels(module, tuning)
  const shape = sumShapeOf(tuning, size)
  const sumRow = 4 * shape.most
  const finish = emitGradientBlock(module, tuning.variant, algorithm, shape)
  return module.function('winogradFilterUnit', unitParameters, 'void', (fn, parameters) => {
    const { data, shared, scratch, target, first, count, unit } = parameters
    const load = (word: Word) => fn.local('i32', word, words.load(data, word))
    const [channels, tileRow, panelBytes, tiles] = [
      load('channels'),
      load('tileRow'),
      load('panelBytes'),
      load('tiles'),
    ]
    const [dataStep, errorStep, unitChannels, rowUnits] = [
      load('dataStep'),
      load('errorStep'),
      load('unitChannels'),
      load('rowUnits'),
    ]
    const row = fn.local('i32', 'row', i32.mul(i32.remU(unit, rowUnits), gradientRows(tuning)))
    const m = fn.local('i32', 'm', min(i32.const(gradientRows(tuning)), i32.sub(words.load(data, 'rows'), row)))
    const channel = fn.local('i32', 'channel', i32.mul(i32.divU(unit, rowUnits), unitChannels))
    const own = fn.local('i32', 'own', min(unitChannels, i32.sub(channels, channel)))
    const isLast = fn.local('i32', 'isLast', i32.eq(i32.add(first, count), tiles))
    const isOnly = i32.and(isLast, i32.eqz(first))
    const ofUnit = i32.add(words.load(data, 'sharedSums'), i32.mul(unit, align(size * size * shape.productStep)))
    const sums = fn.local(
      'i32',
      'sums',
      select(isOnly, i32.add(scratch, words.load(data, 'scratchSums')), i32.add(shared, ofUnit)),
    )
    const sharedErrors = i32.add(shared, words.load(data, 'sharedErrors'))
    const a = fn.local('i32', 'a', i32.add(sharedErrors, i32.mul(row, tileRow)))
    const data0 = fn.local('i32', 'data0', i32.add(shared, i32.mul(i32.divU(channel, width), panelBytes)))
    const ofProduct = fn.local('i32', 'ofProduct', sums)
    fn.repeat(size * size, () => {
      const [b, c] = [fn.local('i32', 'b', data0), fn.local('i32', 'c', ofProduct)]
      const call = (panel: PanelFunction) =>
        fn.call(panel, {
          layout: aLayoutCode.rows,
          a,
          aStep: tileRow,
          aPanelStep: i32.mul(tileRow, tuning.rows),
          m,
          b,
          bStep: 4 * width,
          k: count,
          addend: select(first, c, scratch),
          addendStep: select(first, i32.const(sumRow), i32.const(0)),
          c,
          cStep: sumRow,
        })
      fn.forRange(0, own, width, (j) => {
        chooseNarrowest(fn, tuning.widths, i32.sub(own, j), (index) => call(panels[index]!))
        fn.increment(b, panelBytes)
        fn.increment(c, 4 * width)
      })
      fn.increment(a, errorStep)
      fn.increment(data0, dataStep)
      fn.increment(ofProduct, shape.productStep)
    })
    fn.if(isLast, () => {
      const filter = i32.add(i32.mul(row, channels), channel)
      fn.call(finish, {
        source: sums,
        rows: m,
        sourceStep: sumRow,
        count: own,
        target: i32.add(target, i32.mul(filter, square)),
        targetStep: i32.mul(channels, square),
        scratch: i32.add(scratch, 4 * width),
      })
    })
  })
}
