import {
  type FunctionBuilder,
  type FunctionHandle,
  f32x4,
  i32,
  type Local,
  type ModuleBuilder,
  select,
  type WasmEnvironment,
  type WasmFunction,
} from '@tessera/backend-wasm'
import {
  aLayoutCode,
  emitPackB,
  emitPanels,
  type MatmulTuning,
  matmulTuning,
  type PanelFunction,
} from '@tessera/backend-wasm/kernel'
import { type Algorithm, taps } from '../algorithms.ts'
import { type ConvolutionLayout, gridOf } from '../layout.ts'
import { emitTables, geometryOf, geometryWords } from './geometry.ts'
import { emitSquares, emitTiles, entryBytes } from './lanes.ts'
import type { ProductPlan } from './product.ts'
import { emitFromProducts, emitToProducts, transformScratchBytes } from './transforms.ts'
import { align, chooseNarrowest, gradientBlockRows, gradientDepth, min, roundUp, spread, widthOf } from './tuning.ts'
import { wordTable } from './words.ts'

/** Targets are the errors of the result. */
const words = /* @__PURE__ */ wordTable([
  ...geometryWords,
  'blockTiles',
  'tileRow',
  'dataStep',
  'errorStep',
  'sumRow',
  'sumStep',
  'sharedErrors',
  'sharedSums',
  'scratchInputTable',
  'scratchErrorTable',
  'scratchSquares',
  'scratchPanels',
] as const)
type Word = Parameters<typeof words.load>[1]

const parameters = {
  data: 'i32',
  input: 'i32',
  errors: 'i32',
  target: 'i32',
  /** The operands of the products and their sums, for all threads. */
  shared: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** Bytes that the operands of the products of one block of tiles may take. */
const operandBytes = 16 * 2 ** 20
const fewestTiles = 64

/** Plans the gradient to the filters of the convolution of `layout`. */
export function planFilterGradient(
  { size }: Algorithm,
  layout: ConvolutionLayout,
  tuning: MatmulTuning,
): ProductPlan & { readonly sharedScratchBytes: number } {
  const width = widthOf(tuning)
  const products = size * size
  const { batch, rows, channels, target } = layout
  const [gridY, gridX] = gridOf(target, size)
  const tiles = batch * gridY * gridX
  const fitting = Math.floor(operandBytes / (4 * products * (channels + rows)))
  const most = Math.min(gradientDepth, Math.max(fewestTiles, fitting))
  const blockTiles = roundUp(Math.ceil(tiles / Math.ceil(tiles / most)), 4)
  const tileRow = 4 * blockTiles
  const [dataStep, errorStep] = [spread(tileRow * channels), spread(tileRow * rows)]
  const sumRow = 4 * roundUp(channels, width)
  const sumStep = spread(sumRow * rows)
  const sharedErrors = align(products * dataStep)
  const sharedSums = align(sharedErrors + products * errorStep)
  const scratchInputTable = align(4 * width + transformScratchBytes(size))
  const scratchErrorTable = align(scratchInputTable + entryBytes * blockTiles)
  const scratchSquares = align(scratchErrorTable + entryBytes * blockTiles)
  const scratchPanels = align(scratchSquares + entryBytes * roundUp(channels, 4))
  return {
    words: words.encode({
      ...geometryOf(layout, size),
      blockTiles,
      tileRow,
      dataStep,
      errorStep,
      sumRow,
      sumStep,
      sharedErrors,
      sharedSums,
      scratchInputTable,
      scratchErrorTable,
      scratchSquares,
      scratchPanels,
    }),
    sharedScratchBytes: sharedSums + products * sumStep,
    threadScratchBytes: align(scratchPanels + tileRow * roundUp(channels, width)),
  }
}

type Body = FunctionBuilder<typeof parameters, 'void'>

/**
 * The gradient to 3 × 3 filters by F(3×3, m×m) (Lavin & Gray 2016, section 4.2): tiles of m × m errors act as filters on tiles of the input, and
 * the products of all tiles and images are summed before they are transformed back. For some tiles at a time, threads share first the
 * channels to transform, then the products; in the end they share the filters.
 */
export function filterGradientFunction(algorithm: Algorithm): WasmFunction<typeof parameters> {
  const { size } = algorithm
  const name = `winograd/filterGradient${size}`
  return {
    name,
    parameters,
    define: (module, environment) => {
      const tuning = matmulTuning(environment.variant)
      const stages = emitStages(module, algorithm, tuning)
      return module.function(name, parameters, 'void', (fn, given) => {
        const { data, shared, scratch, target, thread, threads } = given
        const width = widthOf(tuning)
        const load = (word: Word) => fn.local('i32', word, words.load(data, word))
        const [tiles, blockTiles] = [load('tiles'), load('blockTiles')]
        for (let offset = 0; offset < 4 * width; offset += 16) fn.store('v128', scratch, f32x4.splat(0), offset)
        fn.forRange(0, tiles, blockTiles, (first) => {
          const count = fn.local('i32', 'count', min(blockTiles, i32.sub(tiles, first)))
          const range = { data, shared, scratch, first, count, thread, threads }
          fn.call(stages.transform, { ...range, input: given.input, errors: given.errors })
          wait(fn, environment, threads)
          fn.call(stages.multiply, range)
          wait(fn, environment, threads)
        })
        fn.call(stages.finish, { data, shared, scratch, target, thread, threads })
      })
    },
  }
}

function wait(fn: Body, environment: WasmEnvironment, threads: Local<'i32'>): void {
  const barrier = environment.barrier()
  if (barrier) fn.call(barrier, { threads })
}

const stageParameters = { data: 'i32', shared: 'i32', scratch: 'i32', thread: 'i32', threads: 'i32' } as const
const blockParameters = { ...stageParameters, first: 'i32', count: 'i32' } as const
const transformParameters = { ...blockParameters, input: 'i32', errors: 'i32' } as const
const finishParameters = { ...stageParameters, target: 'i32' } as const

interface Stages {
  readonly transform: FunctionHandle<typeof transformParameters, 'void'>
  readonly multiply: FunctionHandle<typeof blockParameters, 'void'>
  readonly finish: FunctionHandle<typeof finishParameters, 'void'>
}

function emitStages(module: ModuleBuilder, algorithm: Algorithm, tuning: MatmulTuning): Stages {
  return {
    transform: emitTransform(module, algorithm, tuning),
    multiply: emitMultiply(module, algorithm, tuning),
    finish: emitFinish(module, algorithm, tuning),
  }
}

/** Tiles of input and errors to the operands of the products; threads share the channels of both. */
function emitTransform(module: ModuleBuilder, algorithm: Algorithm, tuning: MatmulTuning): Stages['transform'] {
  const tiles = emitTiles(module)
  const inputTransform = emitToProducts(module, 'winogradInput', tuning.variant, algorithm.input)
  const errorTransform = emitToProducts(module, 'winogradError', tuning.variant, algorithm.error)
  return module.function('winogradFilterTransform', transformParameters, 'void', (fn, parameters) => {
    const { data, shared, scratch, first, count, input, errors, thread, threads } = parameters
    const load = (word: Word) => fn.local('i32', word, words.load(data, word))
    const [channels, tileRow] = [load('channels'), load('tileRow')]
    const patch = fn.local('i32', 'patch', i32.add(scratch, 4 * widthOf(tuning)))
    const inputTable = fn.local('i32', 'inputTable', i32.add(scratch, words.load(data, 'scratchInputTable')))
    const errorTable = fn.local('i32', 'errorTable', i32.add(scratch, words.load(data, 'scratchErrorTable')))
    const padded = fn.local('i32', 'padded', i32.and(i32.add(count, 3), -4))
    const tables = { source: inputTable, target: errorTable }
    emitTables(fn, algorithm, tiles, (word) => words.load(data, word), { first, count, padded }, tables)
    const all = fn.local('i32', 'all', i32.add(channels, words.load(data, 'rows')))
    const end = fn.local('i32', 'end', i32.divU(i32.mul(all, i32.add(thread, 1)), threads))
    fn.forRange(i32.divU(i32.mul(all, thread), threads), end, 1, (unit) => {
      const channel = fn.local('i32', 'channel', i32.sub(unit, channels))
      const isError = fn.local('i32', 'isError', i32.geS(channel, 0))
      fn.if(i32.eqz(isError), () => fn.set(channel, unit))
      const operands = i32.add(shared, select(isError, words.load(data, 'sharedErrors'), i32.const(0)))
      const into = fn.local('i32', 'into', i32.add(operands, i32.mul(channel, tileRow)))
      const entry = fn.local('i32', 'entry', select(isError, errorTable, inputTable))
      const step = (name: 'Channel' | 'Row') =>
        select(isError, words.load(data, `target${name}`), words.load(data, `source${name}`))
      const plane = fn.local('i32', 'plane', i32.add(select(isError, errors, input), i32.mul(channel, step('Channel'))))
      const productStep = fn.local(
        'i32',
        'productStep',
        select(isError, words.load(data, 'errorStep'), words.load(data, 'dataStep')),
      )
      const rowStep = fn.local('i32', 'rowStep', step('Row'))
      fn.forRange(0, count, 4, () => {
        const group = { table: entry, plane, rowStep, scratch: patch, target: into, productStep }
        fn.if(
          isError,
          () => fn.call(errorTransform, group),
          () => fn.call(inputTransform, group),
        )
        fn.increment(entry, 4 * entryBytes)
        fn.increment(into, 16)
      })
    })
  })
}

/** The products of one block of tiles, added to the sums; threads share products and rows. */
function emitMultiply(module: ModuleBuilder, { size }: Algorithm, tuning: MatmulTuning): Stages['multiply'] {
  const width = widthOf(tuning)
  const packB = emitPackB(module, tuning)
  const panels = emitPanels(module, tuning)
  return module.function('winogradFilterMultiply', blockParameters, 'void', (fn, parameters) => {
    const { data, shared, scratch, first, count, thread, threads } = parameters
    const load = (word: Word) => fn.local('i32', word, words.load(data, word))
    const [rows, channels, tileRow] = [load('rows'), load('channels'), load('tileRow')]
    const [dataStep, errorStep, sumRow, sumStep] = [
      load('dataStep'),
      load('errorStep'),
      load('sumRow'),
      load('sumStep'),
    ]
    const packed = fn.local('i32', 'packed', i32.add(scratch, words.load(data, 'scratchPanels')))
    const errors = fn.local('i32', 'errors', i32.add(shared, words.load(data, 'sharedErrors')))
    const sums = fn.local('i32', 'sums', i32.add(shared, words.load(data, 'sharedSums')))
    const blocks = fn.local('i32', 'blocks', i32.divU(i32.add(rows, gradientBlockRows - 1), gradientBlockRows))
    const all = fn.local('i32', 'all', i32.mul(blocks, size * size))
    const end = fn.local('i32', 'end', i32.divU(i32.mul(all, i32.add(thread, 1)), threads))
    const packedProduct = fn.local('i32', 'packedProduct', -1)
    fn.forRange(i32.divU(i32.mul(all, thread), threads), end, 1, (unit) => {
      const product = fn.local('i32', 'product', i32.divU(unit, blocks))
      const row = fn.local('i32', 'row', i32.mul(i32.remU(unit, blocks), gradientBlockRows))
      fn.if(i32.ne(product, packedProduct), () => {
        const source = i32.add(shared, i32.mul(product, dataStep))
        fn.call(packB, { source, step: tileRow, kStep: 4, count: channels, k: count, destination: packed })
        fn.set(packedProduct, product)
      })
      const m = fn.local('i32', 'm', min(i32.const(gradientBlockRows), i32.sub(rows, row)))
      const left = i32.add(i32.add(errors, i32.mul(product, errorStep)), i32.mul(row, tileRow))
      const a = fn.local('i32', 'a', left)
      const into = i32.add(i32.add(sums, i32.mul(product, sumStep)), i32.mul(row, sumRow))
      const c = fn.local('i32', 'c', into)
      const b = fn.local('i32', 'b', packed)
      const call = (panel: PanelFunction, tileWidth: number) =>
        fn.call(panel, {
          layout: aLayoutCode.rows,
          a,
          aStep: tileRow,
          aPanelStep: i32.mul(tileRow, tuning.rows),
          m,
          b,
          bStep: 4 * tileWidth,
          k: count,
          addend: select(first, c, scratch),
          addendStep: select(first, sumRow, i32.const(0)),
          c,
          cStep: sumRow,
        })
      fn.forRange(0, channels, width, (j) => {
        chooseNarrowest(fn, tuning.widths, i32.sub(channels, j), (index) =>
          call(panels[index]!, 4 * tuning.widths[index]!),
        )
        fn.increment(b, i32.mul(count, 4 * width))
        fn.increment(c, 4 * width)
      })
    })
  })
}

/** The sums of the products to the gradient; threads share the filters. */
function emitFinish(module: ModuleBuilder, algorithm: Algorithm, tuning: MatmulTuning): Stages['finish'] {
  const squares = emitSquares(module)
  const fromProducts = emitFromProducts(module, 'winogradGradient', tuning.variant, algorithm.filterGradient)
  const square = 4 * taps * taps
  return module.function('winogradFilterFinish', finishParameters, 'void', (fn, parameters) => {
    const { data, shared, scratch, target, thread, threads } = parameters
    const load = (word: Word) => fn.local('i32', word, words.load(data, word))
    const [rows, channels, sumRow, productStep] = [load('rows'), load('channels'), load('sumRow'), load('sumStep')]
    const patch = fn.local('i32', 'patch', i32.add(scratch, 4 * widthOf(tuning)))
    const table = fn.local('i32', 'table', i32.add(scratch, words.load(data, 'scratchSquares')))
    const sums = fn.local('i32', 'sums', i32.add(shared, words.load(data, 'sharedSums')))
    const padded = i32.and(i32.add(channels, 3), -4)
    fn.call(squares, { table, count: channels, padded, step: square, size: taps })
    const end = fn.local('i32', 'end', i32.divU(i32.mul(rows, i32.add(thread, 1)), threads))
    fn.forRange(i32.divU(i32.mul(rows, thread), threads), end, 1, (row) => {
      const plane = fn.local('i32', 'plane', i32.add(target, i32.mul(i32.mul(row, channels), square)))
      const source = fn.local('i32', 'source', i32.add(sums, i32.mul(row, sumRow)))
      const entry = fn.local('i32', 'entry', table)
      fn.forRange(0, channels, 4, () => {
        fn.call(fromProducts, { source, productStep, table: entry, plane, rowStep: 4 * taps, scratch: patch })
        fn.increment(source, 16)
        fn.increment(entry, 4 * entryBytes)
      })
    })
  })
}
