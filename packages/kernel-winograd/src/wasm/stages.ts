import {
  type FunctionBuilder,
  type FunctionHandle,
  i32,
  type Local,
  type ModuleBuilder,
  v128,
  type WasmEnvironment,
} from '@tessera/backend-wasm'
import { type MatmulTuning, matmulTuning } from '@tessera/backend-wasm/kernel'
import type { Algorithm } from '../algorithms.ts'
import { entryBytes } from './lanes.ts'
import { emitFromProducts, emitToProducts } from './transforms.ts'
import { widthOf } from './tuning.ts'

const sourceParameters = {
  /** The entries of the tiles in their source, filled up to whole panels. */
  table: 'i32',
  /** The first channel to take, how many, and the step between them. */
  plane: 'i32',
  channels: 'i32',
  channelStep: 'i32',
  rowStep: 'i32',
  patch: 'i32',
  /** Where the first channel of the first product's first panel goes, and the steps to the next product's and to the next panel. */
  target: 'i32',
  productStep: 'i32',
  panelBytes: 'i32',
  /** Tiles, with those that fill up the last panel. */
  padded: 'i32',
} as const

const targetParameters = {
  /** The entries of the tiles in their target, filled up to a multiple of four. */
  table: 'i32',
  plane: 'i32',
  rows: 'i32',
  channelStep: 'i32',
  rowStep: 'i32',
  patch: 'i32',
  /** The first product's results `[rows, tiles]`, and the steps to the next product's and between rows. */
  source: 'i32',
  productStep: 'i32',
  resultRow: 'i32',
  tiles: 'i32',
} as const

/** What comes before and after the products of a convolution, for some tiles. */
export interface Stages {
  /** Tiles of some channels to the right operands of the products, in panels of as many tiles as a product's tile has columns. */
  readonly source: FunctionHandle<typeof sourceParameters, 'void'>
  /** Results of the products to tiles of some rows of the result. */
  readonly target: FunctionHandle<typeof targetParameters, 'void'>
}

export function stagesIn(module: ModuleBuilder, environment: WasmEnvironment, algorithm: Algorithm): Stages {
  const tuning = matmulTuning(environment.variant)
  const { size } = algorithm
  return {
    source: environment.helper(`winograd/source${size}`, () => emitSource(module, algorithm, tuning)),
    target: environment.helper(`winograd/target${size}`, () => emitTarget(module, algorithm, tuning)),
  }
}

function emitSource(module: ModuleBuilder, { input }: Algorithm, tuning: MatmulTuning): Stages['source'] {
  const width = widthOf(tuning)
  const groups = tuning.variant === 'wide' ? 2 : 1
  const tiles = 4 * groups
  const transform = emitToProducts(module, 'winogradInputs', tuning.variant, input, groups)
  return module.function('winogradSource', sourceParameters, 'void', (fn, parameters) => {
    const { table, plane, channels, channelStep, rowStep, patch, target, productStep, panelBytes, padded } = parameters
    fn.forRange(0, padded, width, () => {
      const from = fn.local('i32', 'from', plane)
      const into = fn.local('i32', 'into', target)
      fn.repeat(channels, () => {
        for (let tile = 0; tile < width; tile += tiles) {
          fn.call(transform, {
            table: i32.add(table, entryBytes * tile),
            plane: from,
            rowStep,
            scratch: patch,
            target: i32.add(into, 4 * tile),
            productStep,
          })
        }
        fn.increment(from, channelStep)
        fn.increment(into, 4 * width)
      })
      fn.increment(table, entryBytes * width)
      fn.increment(target, panelBytes)
    })
  })
}

function emitTarget(module: ModuleBuilder, { output }: Algorithm, { variant }: MatmulTuning): Stages['target'] {
  const transform = emitFromProducts(module, 'winogradOutput', variant, output)
  return module.function('winogradTarget', targetParameters, 'void', (fn, parameters) => {
    const { table, plane, rows, channelStep, rowStep, patch, source, productStep, resultRow, tiles } = parameters
    fn.repeat(rows, () => {
      const entry = fn.local('i32', 'entry', table)
      const from = fn.local('i32', 'from', source)
      fn.forRange(0, tiles, 4, () => {
        fn.call(transform, { table: entry, plane, rowStep, scratch: patch, source: from, productStep })
        fn.increment(entry, 4 * entryBytes)
        fn.increment(from, 16)
      })
      fn.increment(plane, channelStep)
      fn.increment(source, resultRow)
    })
  })
}

/** Emits the writing of zeros that a first sum is added to, as wide as the widest tile of a product. */
export function storeZeros(fn: Pick<FunctionBuilder, 'store'>, place: Local<'i32'>, tuning: MatmulTuning): void {
  const zero = v128.const(new Int32Array(4))
  for (let offset = 0; offset < 4 * widthOf(tuning); offset += 16) fn.store('v128', place, zero, offset)
}
