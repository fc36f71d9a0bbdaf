import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { f32, f32x4, i32, select } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { aLayoutCode, emitPanels } from '../matmul/panel.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { matmulTuning, tileColumns } from '../matmul/tuning.ts'
import { emitCollect } from './collect.ts'
import { chunkKeys, factor, field, groupQueries } from './frame.ts'
import {
  chunkRows,
  forEachChunk,
  forEachLane,
  forEachStrip,
  type GroupFunction,
  groupParameters,
  runParameters,
  stripAt,
  visibleRows,
} from './group.ts'
import { emitAddProduct } from './product.ts'
import { emitMask, emitWeights } from './scores.ts'
import { emitPackStrip } from './strips.ts'

/** What a run of the backward pass adds to. */
export const gradientParts = { queries: 1, keysAndValues: 2 } as const

/** As `runParameters`, with the rows of the gradients of the keys and values. */
export const backwardRunParameters = {
  ...runParameters,
  keyGradient: 'i32',
  keyGradientStep: 'i32',
  valueGradient: 'i32',
  valueGradientStep: 'i32',
  /** A sum of `gradientParts`. */
  parts: 'i32',
} as const

/** The parts of attention's backward pass. */
export interface AttentionBackwardGroup {
  readonly tuning: MatmulTuning
  /** Packs the queries and the gradients of their outputs. */
  readonly begin: GroupFunction
  /** Adds to the gradients what a run of keys contributes. */
  readonly run: FunctionHandle<typeof backwardRunParameters, 'void'>
}

const rowBytes = 4 * groupQueries

/**
 * Adds to a module the functions of attention's backward pass, which computes the weights again (Dao et al. 2022, algorithm 4). Each sum
 * has the same order however groups and runs are shared among threads, so long as each gradient row's own contributions come in order.
 */
export function attentionBackwardGroup(module: ModuleBuilder, variant: Variant): AttentionBackwardGroup {
  const tuning = matmulTuning(variant)
  const columns = tileColumns(tuning)
  const panels = emitPanels(module, tuning)
  const panel = panels[0]!
  const pack = emitPackStrip(module, tuning)
  const mask = emitMask(module, tuning)
  const weights = emitWeights(module, tuning)
  const addProduct = emitAddProduct(module, tuning, panels)
  const hide = emitHide(module, columns)
  const collect = emitCollect(module)

  const begin = module.function('attentionBackwardBegin', groupParameters, 'void', (fn, { frame }) => {
    forEachStrip(fn, frame, columns, (strip) => {
      for (const [rows, target, width] of [
        ['query', 'packedQueries', 'width'],
        ['gradient', 'packedGradients', 'valueWidth'],
      ] as const) {
        const step = field(frame, `${rows}Step`)
        fn.call(pack, {
          source: i32.add(field(frame, rows), i32.mul(step, strip.first)),
          step,
          count: strip.count,
          width: field(frame, width),
          factor: rows === 'query' ? factor(frame, 'scaleLog2e') : 1,
          destination: stripAt(frame, target, strip, field(frame, width)),
        })
      }
      forEachLane(fn, frame, strip, 'logarithm', (logarithm, lane) => {
        fn.store('f32', i32.add(field(frame, 'maxima'), lane), f32.mul(f32.load(logarithm), Math.LOG2E))
      })
      forEachLane(fn, frame, strip, 'projection', (projection, lane) => {
        fn.store('f32', i32.add(field(frame, 'totals'), lane), f32.load(projection))
      })
    })
  })

  const run = module.function('attentionBackwardRun', backwardRunParameters, 'void', (fn, parameters) => {
    const { frame, parts } = parameters
    const { keyGradient, keyGradientStep, valueGradient, valueGradientStep } = parameters
    const load = (name: Parameters<typeof field>[1]) => fn.local('i32', name, field(frame, name))
    const [width, valueWidth, scores, slopes] = [load('width'), load('valueWidth'), load('scores'), load('slopes')]
    const [zeros, tail, queries] = [load('zeros'), load('tail'), load('count')]
    forEachChunk(fn, chunkKeys(tuning), parameters, (start, chunk) => {
      const [low, high] = [fn.local('i32', 'low', chunk), fn.local('i32', 'high', 0)]
      const { key, keyStep, value, valueStep } = chunkRows(fn, collect, parameters, start, chunk)
      forEachStrip(fn, frame, columns, (strip) => {
        const rows = visibleRows(fn, frame, strip, start, chunk, parameters)
        const lanes = fn.local('i32', 'lanes', i32.shl(strip.first, 2))
        const end = fn.local('i32', 'end', i32.add(rows.first, rows.count))
        fn.if(i32.leS(rows.count, 0), () => {
          fn.set(rows.first, 0)
          fn.set(end, 0)
        })
        // Products with all strips read these rows as well.
        for (const block of [scores, slopes]) {
          const strips = fn.local('i32', 'strips', i32.add(block, lanes))
          fn.call(hide, { rows: strips, count: rows.first })
          fn.call(hide, { rows: i32.add(strips, i32.mul(end, rowBytes)), count: i32.sub(chunk, end) })
        }
        fn.if(i32.gtS(rows.count, 0), () => {
          fn.set(low, select(i32.ltS(rows.first, low), rows.first, low))
          fn.set(high, select(i32.gtS(end, high), end, high))
          const at = fn.local('i32', 'at', i32.add(lanes, i32.mul(rows.first, rowBytes)))
          const [score, slope] = [
            fn.local('i32', 'score', i32.add(scores, at)),
            fn.local('i32', 'slope', i32.add(slopes, at)),
          ]
          const product = (
            source: typeof key,
            step: typeof key,
            packed: 'packedQueries' | 'packedGradients',
            depth: typeof key,
            c: typeof key,
          ) =>
            fn.call(panel, {
              layout: aLayoutCode.rows,
              a: i32.add(source, i32.mul(rows.first, step)),
              aStep: step,
              aPanelStep: i32.mul(step, tuning.rows),
              m: rows.count,
              b: stripAt(frame, packed, strip, depth),
              bStep: 4 * columns,
              k: depth,
              addend: zeros,
              addendStep: 0,
              c,
              cStep: rowBytes,
            })
          product(key, keyStep, 'packedQueries', width, score)
          product(value, valueStep, 'packedGradients', valueWidth, slope)
          fn.if(rows.isPartial, () => {
            fn.call(mask, { scores: score, step: rowBytes, count: rows.count, ...rows.bounds })
          })
          fn.call(weights, {
            scores: score,
            slopes: slope,
            step: rowBytes,
            count: rows.count,
            logarithms: i32.add(field(frame, 'maxima'), lanes),
            projections: i32.add(field(frame, 'totals'), lanes),
            scale: factor(frame, 'scale'),
          })
        })
      })
      fn.if(i32.gtS(high, low), () => {
        const count = fn.local('i32', 'count', i32.sub(high, low))
        const first = fn.local('i32', 'first', i32.add(start, low))
        const row = fn.local('i32', 'row', i32.mul(low, rowBytes))
        const shared = { zeros, tail, aStep: rowBytes }
        fn.if(i32.and(parts, gradientParts.keysAndValues), () => {
          fn.call(addProduct, {
            ...shared,
            layout: aLayoutCode.rows,
            a: i32.add(scores, row),
            m: count,
            b: field(frame, 'gradient'),
            bStep: field(frame, 'gradientStep'),
            n: valueWidth,
            k: queries,
            c: i32.add(valueGradient, i32.mul(first, valueGradientStep)),
            cStep: valueGradientStep,
          })
          fn.call(addProduct, {
            ...shared,
            layout: aLayoutCode.rows,
            a: i32.add(slopes, row),
            m: count,
            b: field(frame, 'query'),
            bStep: field(frame, 'queryStep'),
            n: width,
            k: queries,
            c: i32.add(keyGradient, i32.mul(first, keyGradientStep)),
            cStep: keyGradientStep,
          })
        })
        fn.if(i32.and(parts, gradientParts.queries), () => {
          fn.call(addProduct, {
            ...shared,
            layout: aLayoutCode.columns,
            a: i32.add(slopes, row),
            m: queries,
            b: i32.add(key, i32.mul(low, keyStep)),
            bStep: keyStep,
            n: width,
            k: count,
            c: field(frame, 'queryGradient'),
            cStep: field(frame, 'queryGradientStep'),
          })
        })
      })
    })
  })
  return { tuning, begin, run }
}

/** Emits the function that clears one strip's part of rows of scores. */
function emitHide(module: ModuleBuilder, columns: number) {
  return module.function('attentionHide', { rows: 'i32', count: 'i32' }, 'void', (fn, { rows, count }) => {
    const zero = fn.local('v128', 'zero', f32x4.splat(0))
    fn.repeat(count, () => {
      for (let offset = 0; offset < 4 * columns; offset += 16) fn.store('v128', rows, zero, offset)
      fn.increment(rows, rowBytes)
    })
  })
}
