import type { FunctionBuilder, FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32, f32x4, i32, v128 } from '../../assembler/index.ts'
import { ConstantPool, exp2, keep, log, multiplyAdd } from '../../math/index.ts'
import type { Variant } from '../../variant.ts'
import { min } from '../matmul/tiles.ts'
import { factor, field } from './frame.ts'

const beginParameters = { frame: 'i32' } as const

/** Parameters of the function that lets one query attend to further keys. Addresses and the steps between rows are in bytes. */
export const queryRunParameters = {
  frame: 'i32',
  query: 'i32',
  key: 'i32',
  keyStep: 'i32',
  value: 'i32',
  valueStep: 'i32',
  count: 'i32',
} as const

const endParameters = { frame: 'i32', output: 'i32', logarithm: 'i32' } as const

/** The parts of attention for one query, which read each key and value once and in place, as decoding does. */
export interface AttentionQuery {
  readonly begin: FunctionHandle<typeof beginParameters, 'void'>
  readonly run: FunctionHandle<typeof queryRunParameters, 'void'>
  /** Writes the mixed values, and the logarithm of the sum of exponentials. */
  readonly end: FunctionHandle<typeof endParameters, 'void'>
}

/** Keys whose scores are computed before their values are mixed. */
const chunk = 64
/** Numbers of a value that are summed in registers, most first: where they hold enough, a whole row of a usual head, so that memory is read in one go. */
const valueBlocks = (variant: Variant): readonly number[] => (variant === 'wide' ? [64, 32, 4] : [32, 4])

/** Adds to a module the functions of attention for one query at a time. */
export function attentionQuery(module: ModuleBuilder, variant: Variant): AttentionQuery {
  const score = emitScores(module, variant)
  const mix = emitMix(module, variant)

  const begin = module.function('attentionQueryBegin', beginParameters, 'void', (fn, { frame }) => {
    fn.store('f32', field(frame, 'maxima'), -3.4028234663852886e38)
    fn.store('f32', field(frame, 'totals'), 0)
    fn.memoryFill(field(frame, 'sums'), 0, i32.shl(field(frame, 'valueWidth'), 2))
  })

  const run = module.function('attentionQueryRun', queryRunParameters, 'void', (fn, parameters) => {
    const { frame, query, key, keyStep, value, valueStep, count } = parameters
    const math = new ConstantPool(fn, fn.insertionPoint(), variant)
    const hidden = fn.local('v128', 'hidden', f32x4.splat(Number.NEGATIVE_INFINITY))
    const [scores, maxima, totals] = (['scores', 'maxima', 'totals'] as const).map((name) =>
      fn.local('i32', name, field(frame, name)),
    ) as [Local<'i32'>, Local<'i32'>, Local<'i32'>]
    fn.forRange(0, count, chunk, (start) => {
      const keys = fn.local('i32', 'keys', min(i32.const(chunk), i32.sub(count, start)))
      fn.call(score, {
        query,
        key: i32.add(key, i32.mul(start, keyStep)),
        keyStep,
        count: keys,
        width: field(frame, 'width'),
        factor: factor(frame, 'scaleLog2e'),
        scores,
      })
      // What follows works on the whole chunk: keys that do not exist have no weight.
      fn.forRange(keys, chunk, 1, (missing) => {
        fn.store('f32', i32.add(scores, i32.shl(missing, 2)), Number.NEGATIVE_INFINITY)
      })
      const largest = fn.local('v128', 'largest', hidden)
      for (let at = 0; at < 4 * chunk; at += 16) fn.set(largest, f32x4.pmax(largest, v128.load(scores, at)))
      fn.set(largest, f32x4.pmax(largest, v128.shuffle32(largest, largest, [2, 3, 0, 1])))
      fn.set(largest, f32x4.pmax(largest, v128.shuffle32(largest, largest, [1, 0, 3, 2])))
      const before = fn.local('v128', 'before', v128.load32Splat(maxima))
      fn.set(largest, f32x4.pmax(before, largest))
      const base = keep(math, exp2(math, keep(math, f32x4.sub(before, largest))))
      const total = fn.local('v128', 'total', f32x4.splat(0))
      for (let at = 0; at < 4 * chunk; at += 16) {
        fn.scope(() => {
          const weight = keep(math, exp2(math, keep(math, f32x4.sub(v128.load(scores, at), largest))))
          fn.store('v128', scores, weight, at)
          fn.set(total, f32x4.add(total, weight))
        })
      }
      const lanes = [0, 1, 2, 3].map((lane) => f32x4.extractLane(total, lane))
      const sum = f32.add(f32.add(lanes[0]!, lanes[1]!), f32.add(lanes[2]!, lanes[3]!))
      const rescale = fn.local('f32', 'rescale', f32x4.extractLane(base, 0))
      fn.store('f32', totals, f32.add(f32.mul(f32.load(totals), rescale), sum))
      fn.store('f32', maxima, f32x4.extractLane(largest, 0))
      fn.call(mix, {
        weights: scores,
        value: i32.add(value, i32.mul(start, valueStep)),
        valueStep,
        count: keys,
        width: field(frame, 'valueWidth'),
        rescale,
        sums: field(frame, 'sums'),
      })
    })
  })

  const end = module.function('attentionQueryEnd', endParameters, 'void', (fn, { frame, output, logarithm }) => {
    const math = new ConstantPool(fn, fn.insertionPoint(), variant)
    const total = fn.local('f32', 'total', f32.load(field(frame, 'totals')))
    const ofTotal = log(math, keep(math, f32x4.splat(total)))
    const exponent = f32.mul(f32.load(field(frame, 'maxima')), Math.LN2)
    fn.store('f32', logarithm, f32.add(exponent, f32x4.extractLane(ofTotal, 0)))
    const source = fn.local('i32', 'source', field(frame, 'sums'))
    fn.repeat(field(frame, 'valueWidth'), () => {
      fn.store('f32', output, f32.div(f32.load(source), total))
      fn.increment(source, 4)
      fn.increment(output, 4)
    })
  })
  return { begin, run, end }
}

/** Emits the function that computes the scores of up to a chunk of keys with one query: a key of each quarter at a time, so that memory is read as four streams. */
function emitScores(module: ModuleBuilder, variant: Variant) {
  const parameters = {
    query: 'i32',
    key: 'i32',
    keyStep: 'i32',
    count: 'i32',
    width: 'i32',
    factor: 'f32',
    scores: 'i32',
  } as const
  return module.function('attentionQueryScores', parameters, 'void', (fn, given) => {
    const { query, key, keyStep, count, width, factor: scale, scores } = given
    const scales = fn.local('v128', 'scales', f32x4.splat(scale))
    const quarter = fn.local('i32', 'quarter', i32.shrU(i32.add(count, 3), 2))
    fn.forRange(0, quarter, 1, (first) => {
      const rows = Array.from({ length: 4 }, (_, i) => {
        const row = min(i32.add(first, i32.mul(quarter, i)), i32.sub(count, 1))
        return fn.local('i32', 'row', i32.add(key, i32.mul(keyStep, row)))
      })
      const dots = rows.map(() => fn.locals('v128', 2, 'dot'))
      for (const pair of dots) for (const dot of pair) fn.set(dot, f32x4.splat(0))
      const at = fn.local('i32', 'at', query)
      const rest = fn.local('i32', 'rest', width)
      const step = (vectors: number) => {
        const parts = Array.from({ length: vectors }, (_, v) => fn.local('v128', 'part', v128.load(at, 16 * v)))
        rows.forEach((row, i) => {
          parts.forEach((part, v) => {
            fn.set(dots[i]![v]!, multiplyAdd({ variant }, part, v128.load(row, 16 * v), dots[i]![v]!))
          })
          fn.increment(row, 16 * vectors)
        })
        fn.increment(at, 16 * vectors)
        fn.increment(rest, -4 * vectors)
      }
      fn.while(i32.geS(rest, 8), () => step(2))
      fn.if(i32.geS(rest, 4), () => step(1))
      const sums = dots.map(([a, b]) => fn.local('v128', 'sum', f32x4.add(a!, b!)))
      const [a, b, c, d] = sums as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>]
      const half = (x: Local<'v128'>, y: Local<'v128'>) =>
        fn.local('v128', 'half', f32x4.add(v128.shuffle32(x, y, [0, 4, 1, 5]), v128.shuffle32(x, y, [2, 6, 3, 7])))
      const [low, high] = [half(a, b), half(c, d)]
      const dot = fn.local(
        'v128',
        'dot',
        f32x4.add(v128.shuffle32(low, high, [0, 1, 4, 5]), v128.shuffle32(low, high, [2, 3, 6, 7])),
      )
      fn.while(i32.gtS(rest, 0), () => {
        const column = [0, 1, 2, 3].reduce(
          (vector, i) => f32x4.replaceLane(vector, i, f32.load(rows[i]!)),
          f32x4.splat(0) as typeof dot | ReturnType<typeof f32x4.splat>,
        )
        fn.set(dot, multiplyAdd({ variant }, v128.load32Splat(at), column, dot))
        for (const row of rows) fn.increment(row, 4)
        fn.increment(at, 4)
        fn.increment(rest, -1)
      })
      fn.set(dot, f32x4.mul(dot, scales))
      // Scores beyond the last key are written over afterwards.
      const place = fn.local('i32', 'place', i32.add(scores, i32.shl(first, 2)))
      for (let i = 0; i < 4; i++) {
        fn.store('f32', place, f32x4.extractLane(dot, i))
        if (i < 3) fn.increment(place, i32.shl(quarter, 2))
      }
    })
  })
}

/** Emits the function that adds weighted values to sums which are first multiplied by `rescale`. */
function emitMix(module: ModuleBuilder, variant: Variant) {
  const parameters = {
    weights: 'i32',
    value: 'i32',
    valueStep: 'i32',
    count: 'i32',
    width: 'i32',
    rescale: 'f32',
    sums: 'i32',
  } as const
  return module.function('attentionQueryMix', parameters, 'void', (fn, given) => {
    const { value, width, rescale, sums } = given
    const block = (vectors: number) => {
      const totals = Array.from({ length: vectors }, (_, v) =>
        fn.local('v128', 'total', f32x4.mul(v128.load(sums, 16 * v), f32x4.splat(rescale))),
      )
      overKeys(fn, given, (weight, row) => {
        const splat = fn.local('v128', 'splat', v128.load32Splat(weight))
        totals.forEach((total, v) => {
          fn.set(total, multiplyAdd({ variant }, splat, v128.load(row, 16 * v), total))
        })
      })
      totals.forEach((total, v) => {
        fn.store('v128', sums, total, 16 * v)
      })
      fn.increment(sums, 16 * vectors)
      fn.increment(value, 16 * vectors)
      fn.increment(width, -4 * vectors)
    }
    for (const values of valueBlocks(variant)) fn.while(i32.geS(width, values), () => block(values / 4))
    fn.while(i32.gtS(width, 0), () => {
      const total = fn.local('f32', 'total', f32.mul(f32.load(sums), rescale))
      overKeys(fn, given, (weight, row) => fn.set(total, f32.add(total, f32.mul(f32.load(weight), f32.load(row)))))
      fn.store('f32', sums, total)
      fn.increment(sums, 4)
      fn.increment(value, 4)
      fn.increment(width, -1)
    })
  })
}

function overKeys(
  fn: FunctionBuilder,
  { weights, value, valueStep, count }: Readonly<Record<'weights' | 'value' | 'valueStep' | 'count', Local<'i32'>>>,
  body: (weight: Local<'i32'>, row: Local<'i32'>) => void,
): void {
  const weight = fn.local('i32', 'weight', weights)
  const row = fn.local('i32', 'row', value)
  fn.repeat(count, () => {
    body(weight, row)
    fn.increment(weight, 4)
    fn.increment(row, valueStep)
  })
}
