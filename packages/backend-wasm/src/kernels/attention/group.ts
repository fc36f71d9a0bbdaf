import type { FunctionBuilder, FunctionHandle, Local, ModuleBuilder, Operand } from '../../assembler/index.ts'
import { f32, f32x4, i32, select, v128 } from '../../assembler/index.ts'
import { ConstantPool, keep, log } from '../../math/index.ts'
import type { Variant } from '../../variant.ts'
import { aLayoutCode, emitPanels } from '../matmul/panel.ts'
import { min } from '../matmul/tiles.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { matmulTuning, tileColumns } from '../matmul/tuning.ts'
import { type CollectFunction, emitCollect } from './collect.ts'
import { chunkKeys, factor, field } from './frame.ts'
import { emitMask, emitSoftmax } from './scores.ts'
import { emitPackStrip, emitStoreStrip } from './strips.ts'

/** Parameters of the functions that begin and end a group: the frame that says which. */
export const groupParameters = { frame: 'i32' } as const

/**
 * Parameters of the functions that let a group attend to a run of keys: `count` keys, `positionStep` positions apart. A query sees the keys
 * whose position less its own is from `lowest` to `highest`. Addresses and the steps between rows are in bytes.
 */
export const runParameters = {
  frame: 'i32',
  key: 'i32',
  keyStep: 'i32',
  value: 'i32',
  valueStep: 'i32',
  position: 'i32',
  positionStep: 'i32',
  count: 'i32',
  lowest: 'i32',
  highest: 'i32',
} as const

export type GroupFunction = FunctionHandle<typeof groupParameters, 'void'>
export type RunFunction = FunctionHandle<typeof runParameters, 'void'>

/** The parts of attention going forward. A group of queries begins, attends to runs of keys one after the other, and ends. */
export interface AttentionGroup {
  readonly tuning: MatmulTuning
  readonly columns: number
  /** Packs the queries; nothing has been attended to. */
  readonly begin: GroupFunction
  /** Goes on from what `end` has written for the same queries before. */
  readonly resume: GroupFunction
  readonly run: RunFunction
  /** Writes the mixed values and the logarithms of the sums of exponentials. */
  readonly end: GroupFunction
}

/** Less than any score, and finite, so that a query that sees nothing ends as 0 / 0. */
const lowestScore = -3.4028234663852886e38

/**
 * Adds to a module the functions of attention that keep no matrix of scores (Dao et al. 2022). Queries stand in the columns of a tile, so that
 * the softmax works on whole vectors and keys and values are read as they lie, with any step between rows.
 */
export function attentionGroup(module: ModuleBuilder, variant: Variant): AttentionGroup {
  const tuning = matmulTuning(variant)
  const columns = tileColumns(tuning)
  const panel = emitPanels(module, tuning)[0]!
  const pack = emitPackStrip(module, tuning)
  const store = emitStoreStrip(module, tuning)
  const mask = emitMask(module, tuning)
  const softmax = emitSoftmax(module, tuning)
  const collect = emitCollect(module)

  const packQueries = (fn: FunctionBuilder, frame: Local<'i32'>, strip: Strip) => {
    const step = field(frame, 'queryStep')
    fn.call(pack, {
      source: i32.add(field(frame, 'query'), i32.mul(step, strip.first)),
      step,
      count: strip.count,
      width: field(frame, 'width'),
      factor: factor(frame, 'scaleLog2e'),
      destination: stripAt(frame, 'packedQueries', strip, field(frame, 'width')),
    })
  }

  const begin = module.function('attentionBegin', groupParameters, 'void', (fn, { frame }) => {
    const zero = fn.local('v128', 'zero', f32x4.splat(0))
    const least = fn.local('v128', 'least', f32x4.splat(lowestScore))
    forEachStrip(fn, frame, columns, (strip) => {
      packQueries(fn, frame, strip)
      const valueWidth = fn.local('i32', 'valueWidth', field(frame, 'valueWidth'))
      const sums = fn.local('i32', 'sums', stripAt(frame, 'sums', strip, valueWidth))
      const lanes = fn.local('i32', 'lanes', i32.shl(strip.first, 2))
      const maxima = fn.local('i32', 'maxima', i32.add(field(frame, 'maxima'), lanes))
      const totals = fn.local('i32', 'totals', i32.add(field(frame, 'totals'), lanes))
      for (let offset = 0; offset < 4 * columns; offset += 16) {
        fn.store('v128', maxima, least, offset)
        fn.store('v128', totals, zero, offset)
      }
      fn.repeat(valueWidth, () => {
        for (let offset = 0; offset < 4 * columns; offset += 16) fn.store('v128', sums, zero, offset)
        fn.increment(sums, 4 * columns)
      })
    })
  })

  const resume = module.function('attentionResume', groupParameters, 'void', (fn, { frame }) => {
    forEachStrip(fn, frame, columns, (strip) => {
      packQueries(fn, frame, strip)
      const step = field(frame, 'outputStep')
      fn.call(pack, {
        source: i32.add(field(frame, 'output'), i32.mul(step, strip.first)),
        step,
        count: strip.count,
        width: field(frame, 'valueWidth'),
        factor: 1,
        destination: stripAt(frame, 'sums', strip, field(frame, 'valueWidth')),
      })
      // The values are those of a single key with this score.
      forEachLane(fn, frame, strip, 'logarithm', (logarithm, lane) => {
        const score = f32.mul(f32.load(logarithm), Math.LOG2E)
        fn.store('f32', i32.add(field(frame, 'maxima'), lane), score)
        fn.store('f32', i32.add(field(frame, 'totals'), lane), 1)
      })
    })
  })

  const run = module.function('attentionRun', runParameters, 'void', (fn, parameters) => {
    const { frame } = parameters
    const [width, valueWidth, scores] = (['width', 'valueWidth', 'scores'] as const).map((name) =>
      fn.local('i32', name, field(frame, name)),
    ) as [Local<'i32'>, Local<'i32'>, Local<'i32'>]
    forEachChunk(fn, chunkKeys(tuning), parameters, (start, chunk) => {
      const { key, keyStep, value, valueStep } = chunkRows(fn, collect, parameters, start, chunk)
      forEachStrip(fn, frame, columns, (strip) => {
        const rows = visibleRows(fn, frame, strip, start, chunk, parameters)
        fn.if(i32.gtS(rows.count, 0), () => {
          fn.call(panel, {
            layout: aLayoutCode.rows,
            a: i32.add(key, i32.mul(rows.first, keyStep)),
            aStep: keyStep,
            aPanelStep: i32.mul(keyStep, tuning.rows),
            m: rows.count,
            b: stripAt(frame, 'packedQueries', strip, width),
            bStep: 4 * columns,
            k: width,
            addend: field(frame, 'zeros'),
            addendStep: 0,
            c: scores,
            cStep: 4 * columns,
          })
          fn.if(rows.isPartial, () => {
            fn.call(mask, { scores, step: 4 * columns, count: rows.count, ...rows.bounds })
          })
          const lanes = fn.local('i32', 'lanes', i32.shl(strip.first, 2))
          const sums = fn.local('i32', 'sums', stripAt(frame, 'sums', strip, valueWidth))
          fn.call(softmax, {
            scores,
            count: rows.count,
            maxima: i32.add(field(frame, 'maxima'), lanes),
            totals: i32.add(field(frame, 'totals'), lanes),
            sums,
            width: valueWidth,
          })
          fn.call(panel, {
            layout: aLayoutCode.columns,
            a: i32.add(value, i32.mul(rows.first, valueStep)),
            aStep: valueStep,
            aPanelStep: 4 * tuning.rows,
            m: valueWidth,
            b: scores,
            bStep: 4 * columns,
            k: rows.count,
            addend: sums,
            addendStep: 4 * columns,
            c: sums,
            cStep: 4 * columns,
          })
        })
      })
    })
  })

  const end = module.function('attentionEnd', groupParameters, 'void', (fn, { frame }) => {
    const math = new ConstantPool(fn, fn.insertionPoint(), variant)
    forEachStrip(fn, frame, columns, (strip) => {
      const lanes = fn.local('i32', 'lanes', i32.shl(strip.first, 2))
      const maxima = fn.local('i32', 'maxima', i32.add(field(frame, 'maxima'), lanes))
      const totals = fn.local('i32', 'totals', i32.add(field(frame, 'totals'), lanes))
      for (let offset = 0; offset < 4 * columns; offset += 16) {
        const total = fn.local('v128', 'total', v128.load(totals, offset))
        const exponent = f32x4.mul(v128.load(maxima, offset), math.float(Math.LN2))
        const logarithm = keep(math, f32x4.add(exponent, log(math, total)))
        fn.store('v128', maxima, logarithm, offset)
        fn.store('v128', totals, f32x4.div(math.float(1), total), offset)
      }
      forEachLane(fn, frame, strip, 'logarithm', (logarithm, lane) => {
        fn.store('f32', logarithm, f32.load(i32.add(field(frame, 'maxima'), lane)))
      })
      const step = field(frame, 'outputStep')
      fn.call(store, {
        source: stripAt(frame, 'sums', strip, field(frame, 'valueWidth')),
        width: field(frame, 'valueWidth'),
        factors: totals,
        count: strip.count,
        destination: i32.add(field(frame, 'output'), i32.mul(step, strip.first)),
        step,
      })
    })
  })
  return { tuning, columns, begin, resume, run, end }
}

/** Queries of a group that stand side by side in a tile. */
export interface Strip {
  /** Place of the first one in the group. */
  readonly first: Local<'i32'>
  readonly count: Local<'i32'>
}

export function forEachStrip(
  fn: FunctionBuilder,
  frame: Local<'i32'>,
  columns: number,
  body: (strip: Strip) => void,
): void {
  const queries = fn.local('i32', 'queries', field(frame, 'count'))
  fn.forRange(0, queries, columns, (first) => {
    body({ first, count: fn.local('i32', 'count', min(i32.const(columns), i32.sub(queries, first))) })
  })
}

/** Chunks of the keys of a run: the first one's place in the run, and how many. */
export function forEachChunk(
  fn: FunctionBuilder,
  most: number,
  { count }: { readonly count: Local<'i32'> },
  body: (start: Local<'i32'>, chunk: Local<'i32'>) => void,
): void {
  fn.forRange(0, count, most, (start) => {
    body(start, fn.local('i32', 'chunk', min(i32.const(most), i32.sub(count, start))))
  })
}

/** Where the keys and values of a chunk are: in place, or, if the keys are not neighbours, copied so that they are. */
export function chunkRows(
  fn: FunctionBuilder,
  collect: CollectFunction,
  run: Readonly<Record<'frame' | 'key' | 'keyStep' | 'value' | 'valueStep' | 'positionStep', Local<'i32'>>>,
  start: Local<'i32'>,
  count: Local<'i32'>,
): Readonly<Record<'key' | 'keyStep' | 'value' | 'valueStep', Local<'i32'>>> {
  const rows = (name: 'key' | 'value') => {
    const step = fn.local('i32', 'step', run[`${name}Step`])
    const address = fn.local('i32', name, i32.add(run[name], i32.mul(start, step)))
    fn.if(i32.gtS(run.positionStep, 1), () => {
      const destination = fn.local('i32', 'destination', field(run.frame, `${name}s`))
      const width = field(run.frame, name === 'key' ? 'width' : 'valueWidth')
      fn.call(collect, { source: address, step, count, width, destination })
      fn.set(address, destination)
      fn.set(step, i32.shl(width, 2))
    })
    return { address, step }
  }
  const [keys, values] = [rows('key'), rows('value')]
  return { key: keys.address, keyStep: keys.step, value: values.address, valueStep: values.step }
}

/** Address of a strip in working memory that holds `width` rows for each. */
export function stripAt(
  frame: Local<'i32'>,
  name: 'packedQueries' | 'packedGradients' | 'sums',
  { first }: Strip,
  width: Operand<'i32'>,
) {
  return i32.add(field(frame, name), i32.shl(i32.mul(first, width), 2))
}

/** The address of one number for each query of a strip, and the byte offset of the query's lane in working memory. */
export function forEachLane(
  fn: FunctionBuilder,
  frame: Local<'i32'>,
  { first, count }: Strip,
  name: 'logarithm' | 'projection',
  body: (address: Local<'i32'>, lane: Local<'i32'>) => void,
): void {
  const step = fn.local('i32', 'step', field(frame, `${name}Step`))
  const address = fn.local('i32', 'address', i32.add(field(frame, name), i32.mul(step, first)))
  const lane = fn.local('i32', 'lane', i32.shl(first, 2))
  fn.repeat(count, () => {
    body(address, lane)
    fn.increment(address, step)
    fn.increment(lane, 4)
  })
}

/** Rows of a chunk that some query of a strip sees. */
export interface VisibleRows {
  readonly first: Local<'i32'>
  /** 0 or less: none. */
  readonly count: Local<'i32'>
  /** True when not every query sees all of them. */
  readonly isPartial: Local<'i32'>
  /** Arguments of the mask for these rows. */
  readonly bounds: {
    readonly distance: Local<'i32'>
    readonly keyStep: Local<'i32'>
    readonly queryStep: Local<'i32'>
    readonly lowest: Local<'i32'>
    readonly highest: Local<'i32'>
  }
}

export function visibleRows(
  fn: FunctionBuilder,
  frame: Local<'i32'>,
  strip: Strip,
  start: Local<'i32'>,
  chunk: Local<'i32'>,
  {
    position,
    positionStep,
    lowest,
    highest,
  }: Readonly<Record<'position' | 'positionStep' | 'lowest' | 'highest', Local<'i32'>>>,
): VisibleRows {
  const queryStep = fn.local('i32', 'queryStep', field(frame, 'positionStep'))
  const query = i32.add(field(frame, 'position'), i32.mul(queryStep, strip.first))
  // Of the chunk's first key from the strip's first query, and from its last one.
  const distance = fn.local('i32', 'distance', i32.sub(i32.add(position, i32.mul(positionStep, start)), query))
  const reach = fn.local('i32', 'reach', i32.mul(queryStep, i32.sub(strip.count, 1)))
  const before = fn.local('i32', 'before', i32.sub(lowest, distance))
  const after = fn.local('i32', 'after', i32.sub(i32.add(highest, reach), distance))
  const last = i32.sub(positionStep, 1)
  const first = fn.local(
    'i32',
    'first',
    select(i32.gtS(before, 0), i32.divS(i32.add(before, last), positionStep), i32.const(0)),
  )
  const end = fn.local(
    'i32',
    'end',
    select(i32.ltS(after, 0), i32.const(0), min(chunk, i32.add(i32.divS(after, positionStep), 1))),
  )
  const count = fn.local('i32', 'rows', i32.sub(end, first))
  fn.increment(distance, i32.mul(positionStep, first))
  const farthest = i32.add(distance, i32.mul(positionStep, i32.sub(count, 1)))
  const isPartial = fn.local(
    'i32',
    'isPartial',
    i32.or(i32.gtS(farthest, highest), i32.ltS(i32.sub(distance, reach), lowest)),
  )
  const bounds = { distance, keyStep: positionStep, queryStep, lowest, highest }
  return { first, count, isPartial, bounds }
}
