import { i32, type WasmFunction } from '@tessera/backend-wasm'
import type { MatmulTuning } from '@tessera/backend-wasm/kernel'
import type { Algorithm } from '../algorithms.ts'
import type { ConvolutionLayout } from '../layout.ts'
import type { FilterMatrices } from './filters.ts'
import { geometryOf } from './geometry.ts'
import { entryBytes } from './lanes.ts'
import { partIn, type Word, words } from './part.ts'
import { transformScratchBytes } from './transforms.ts'
import { align, leastSharedTiles, min, mostTiles, roundUp, spread, widthOf } from './tuning.ts'
import type { UnitBlocks } from './units.ts'

const parameters = {
  data: 'i32',
  source: 'i32',
  filters: 'i32',
  target: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

export interface ProductPlan {
  readonly words: Int32Array
  readonly threadScratchBytes: number
}

/**
 * Plans the convolution of `layout` by an algorithm with filters that lie as `filters` says.
 *
 * @param blocks the units, if each goes to a place of its own
 */
export function planProduct(
  { size }: Algorithm,
  layout: ConvolutionLayout,
  filters: FilterMatrices,
  tuning: MatmulTuning,
  blocks?: UnitBlocks,
): ProductPlan {
  const width = widthOf(tuning)
  const { rows, channels } = layout
  const geometry = geometryOf(layout, size)
  const { tiles } = geometry
  const splitRows = tiles < leastSharedTiles && rows > tiles ? 1 : 0
  const blockTiles = Math.min(mostTiles(channels, rows, size, width), roundUp(tiles, width))
  const resultRow = 4 * blockTiles
  const dataStep = spread(4 * blockTiles * channels)
  const resultStep = spread(resultRow * rows)
  const unit = splitRows ? tuning.rows : width
  const scratchSource = align(4 * width + transformScratchBytes(size))
  const scratchTarget = align(scratchSource + entryBytes * blockTiles)
  const scratchData = align(scratchTarget + entryBytes * blockTiles)
  const scratchResult = align(scratchData + size * size * dataStep)
  return {
    words: words.encode({
      ...geometry,
      // A unit begins at its own place.
      ...(blocks && { targetImage: 0, targetChannel: 4 * blocks.columns }),
      filterStep: filters.productStep,
      filterBlock: filters.blockStep,
      filterStream: filters.stream,
      lastFilterStream: filters.lastStream,
      blockTiles,
      dataStep,
      resultRow,
      resultStep,
      splitRows,
      unit,
      units: Math.ceil((splitRows ? rows : tiles) / unit),
      unitRows: blocks?.rows ?? 0,
      unitTileRows: blocks?.tileRows ?? 0,
      columnUnits: blocks?.columnUnits ?? 0,
      unitsOfImage: blocks?.perImage ?? 0,
      scratchSource,
      scratchTarget,
      scratchData,
      scratchResult,
    }),
    threadScratchBytes: align(scratchResult + size * size * resultStep),
  }
}

/**
 * The convolution with filters that are transformed already (Lavin & Gray 2016, algorithm 1): tiles of the source are transformed, multiplied
 * with the filters in α² matrix products, whose sums over channels are transformed back. A thread does all of that for some tiles at
 * a time, so that what lies between stays in its cache; threads share the tiles, or the rows where there are few tiles.
 */
export function productFunction(algorithm: Algorithm): WasmFunction<typeof parameters> {
  const { size } = algorithm
  const name = `winograd/product${size}`
  return {
    name,
    parameters,
    define: (module, environment) => {
      const part = partIn(module, environment, algorithm)
      return module.function(name, parameters, 'void', (fn, given) => {
        const { data, thread, threads } = given
        const load = (word: Word) => fn.local('i32', word, words.load(data, word))
        const [units, unit, rows, tiles] = [load('units'), load('unit'), load('rows'), load('tiles')]
        const start = fn.local('i32', 'start', i32.mul(i32.divU(i32.mul(units, thread), threads), unit))
        const end = i32.mul(i32.divU(i32.mul(units, i32.add(thread, 1)), threads), unit)
        const stop = fn.local('i32', 'stop', end)
        const { source, filters, target, scratch } = given
        const shared = { data, source, filters, target, scratch }
        fn.if(i32.ltS(start, stop), () => {
          fn.if(
            words.load(data, 'splitRows'),
            () => fn.call(part, { ...shared, row: start, rowEnd: min(stop, rows), tile: 0, tileEnd: tiles }),
            () => fn.call(part, { ...shared, row: 0, rowEnd: rows, tile: start, tileEnd: min(stop, tiles) }),
          )
        })
      })
    },
  }
}

/** Parameters of one unit of a convolution with an epilogue; `stage` is the place of the unit's result. */
const unitParameters = {
  data: 'i32',
  source: 'i32',
  filters: 'i32',
  stage: 'i32',
  scratch: 'i32',
  unit: 'i32',
} as const

/** The same for one of the units of `UnitBlocks`, in order of images, channels, rows of tiles. */
export function unitFunction(algorithm: Algorithm): WasmFunction<typeof unitParameters> {
  const { size, outputs } = algorithm
  const name = `winograd/unit${size}`
  return {
    name,
    parameters: unitParameters,
    define: (module, environment) => {
      const part = partIn(module, environment, algorithm)
      return module.function(name, unitParameters, 'void', (fn, given) => {
        const { data, source, filters, stage, scratch, unit } = given
        const load = (word: Word) => fn.local('i32', word, words.load(data, word))
        const [unitRows, unitTileRows, columnUnits] = [load('unitRows'), load('unitTileRows'), load('columnUnits')]
        const [perImage, gridY, gridX] = [load('unitsOfImage'), load('gridY'), load('gridX')]
        const within = fn.local('i32', 'within', i32.remU(unit, perImage))
        const tilesBefore = fn.local('i32', 'tilesBefore', i32.mul(i32.divU(unit, perImage), gridY))
        const row = fn.local('i32', 'row', i32.mul(i32.divU(within, columnUnits), unitRows))
        const tileRow = fn.local('i32', 'tileRow', i32.mul(i32.remU(within, columnUnits), unitTileRows))
        const tileRowEnd = min(i32.add(tileRow, unitTileRows), gridY)
        // As if the place were a part of the whole result.
        const before = i32.add(
          i32.mul(row, words.load(data, 'targetChannel')),
          i32.mul(i32.mul(tileRow, outputs), words.load(data, 'targetRow')),
        )
        fn.call(part, {
          data,
          source,
          filters,
          target: i32.sub(stage, before),
          scratch,
          row,
          rowEnd: min(i32.add(row, unitRows), load('rows')),
          tile: i32.mul(i32.add(tilesBefore, tileRow), gridX),
          tileEnd: i32.mul(i32.add(tilesBefore, tileRowEnd), gridX),
        })
      })
    },
  }
}
