import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { f32x4, i32, i32x4, v128 } from '../../assembler/index.ts'
import { ConstantPool, exp2, keep, multiplyAdd } from '../../math/index.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { tileColumns } from '../matmul/tuning.ts'

/** Parameters of the function that masks scores: rows are keys, columns are queries. */
const maskParameters = {
  scores: 'i32',
  /** Bytes from one row to the next. */
  step: 'i32',
  count: 'i32',
  /** Position of the first key less that of the first query, and how the positions grow. */
  distance: 'i32',
  keyStep: 'i32',
  queryStep: 'i32',
  /** Distances that are visible: from `lowest` to `highest`. */
  lowest: 'i32',
  highest: 'i32',
} as const

export type MaskFunction = FunctionHandle<typeof maskParameters, 'void'>

/** Emits the function that sets scores of keys to −∞ which their query does not see. */
export function emitMask(module: ModuleBuilder, tuning: MatmulTuning): MaskFunction {
  const columns = tileColumns(tuning)
  return module.function('attentionMask', maskParameters, 'void', (fn, parameters) => {
    const { scores, step, count, distance, keyStep, queryStep, lowest, highest } = parameters
    const hidden = fn.local('v128', 'hidden', f32x4.splat(Number.NEGATIVE_INFINITY))
    const [low, high] = [lowest, highest].map((bound) => fn.local('v128', 'bound', i32x4.splat(bound)))
    const lanes = Array.from({ length: columns / 4 }, (_, v) =>
      fn.local(
        'v128',
        'lanes',
        i32x4.mul(i32x4.splat(queryStep), v128.const(Int32Array.from({ length: 4 }, (_, i) => 4 * v + i))),
      ),
    )
    const reach = fn.local('i32', 'reach', i32.mul(queryStep, columns - 1))
    fn.repeat(count, () => {
      fn.if(i32.or(i32.gtS(distance, highest), i32.ltS(i32.sub(distance, reach), lowest)), () => {
        const row = fn.local('v128', 'row', i32x4.splat(distance))
        lanes.forEach((lane, v) => {
          fn.scope(() => {
            const apart = fn.local('v128', 'apart', i32x4.sub(row, lane))
            const outside = v128.or(i32x4.gtS(apart, high!), i32x4.ltS(apart, low!))
            fn.store('v128', scores, v128.bitselect(hidden, v128.load(scores, 16 * v), outside), 16 * v)
          })
        })
      })
      fn.increment(scores, step)
      fn.increment(distance, keyStep)
    })
  })
}

const softmaxParameters = {
  /** `[count][column]`, as powers of two; replaced by the weights. */
  scores: 'i32',
  count: 'i32',
  /** Addresses of the columns' largest scores and sums of weights so far. */
  maxima: 'i32',
  totals: 'i32',
  /** Address of the sums `[width][column]` that are made with weights so far. */
  sums: 'i32',
  width: 'i32',
} as const

export type SoftmaxFunction = FunctionHandle<typeof softmaxParameters, 'void'>

/**
 * Emits one step of the online softmax (Milakov & Gimelshein 2018): scores of further keys become weights relative to the largest score
 * so far, and what was summed up before is brought to the same base.
 */
export function emitSoftmax(module: ModuleBuilder, tuning: MatmulTuning): SoftmaxFunction {
  const vectors = tileColumns(tuning) / 4
  return module.function('attentionSoftmax', softmaxParameters, 'void', (fn, parameters) => {
    const { scores, count, maxima, totals, sums, width } = parameters
    const math = new ConstantPool(fn, fn.insertionPoint(), tuning.variant)
    const each = <Item>(make: (v: number) => Item) => Array.from({ length: vectors }, (_, v) => make(v))
    const before = each((v) => fn.local('v128', 'before', v128.load(maxima, 16 * v)))
    const largest = each((v) => fn.local('v128', 'largest', before[v]))
    const row = fn.local('i32', 'row', scores)
    fn.repeat(count, () => {
      each((v) => fn.set(largest[v]!, f32x4.pmax(largest[v]!, v128.load(row, 16 * v))))
      fn.increment(row, 16 * vectors)
    })
    const total = each(() => fn.local('v128', 'total', f32x4.splat(0)))
    fn.set(row, scores)
    fn.repeat(count, () => {
      const weights = each((v) => {
        const below = keep(math, f32x4.sub(v128.load(row, 16 * v), largest[v]!))
        return keep(math, exp2(math, below))
      })
      each((v) => fn.store('v128', row, weights[v]!, 16 * v))
      each((v) => fn.set(total[v]!, f32x4.add(total[v]!, weights[v]!)))
      fn.increment(row, 16 * vectors)
    })
    const base = each((v) => keep(math, exp2(math, keep(math, f32x4.sub(before[v]!, largest[v]!)))))
    each((v) => fn.store('v128', maxima, largest[v]!, 16 * v))
    each((v) => fn.store('v128', totals, multiplyAdd(math, base[v]!, v128.load(totals, 16 * v), total[v]!), 16 * v))
    const grown = each((v) => f32x4.ne(before[v]!, largest[v]!)).reduce((any, moved) => v128.or(any, moved))
    fn.if(v128.anyTrue(grown), () => {
      fn.repeat(width, () => {
        const scaled = each((v) => keep(math, f32x4.mul(v128.load(sums, 16 * v), base[v]!)))
        each((v) => fn.store('v128', sums, scaled[v]!, 16 * v))
        fn.increment(sums, 16 * vectors)
      })
    })
  })
}

const weightParameters = {
  /** Scores as powers of two, replaced by weights, and the gradients of the weights, replaced by those of the scores. */
  scores: 'i32',
  slopes: 'i32',
  /** Bytes from one row to the next in both. */
  step: 'i32',
  count: 'i32',
  /** Addresses of the columns' log-sum-exps (base 2) and of Σ gradient · output. */
  logarithms: 'i32',
  projections: 'i32',
  scale: 'f32',
} as const

export type WeightFunction = FunctionHandle<typeof weightParameters, 'void'>

/** Emits the function that makes weights again from scores, and gradients of the scores (Dao et al. 2022, algorithm 4, lines 13 and 20). */
export function emitWeights(module: ModuleBuilder, tuning: MatmulTuning): WeightFunction {
  const vectors = tileColumns(tuning) / 4
  return module.function('attentionWeights', weightParameters, 'void', (fn, parameters) => {
    const { scores, slopes, step, count, logarithms, projections, scale } = parameters
    const math = new ConstantPool(fn, fn.insertionPoint(), tuning.variant)
    const each = <Item>(make: (v: number) => Item) => Array.from({ length: vectors }, (_, v) => make(v))
    const logarithm = each((v) => fn.local('v128', 'logarithm', v128.load(logarithms, 16 * v)))
    const projection = each((v) => fn.local('v128', 'projection', v128.load(projections, 16 * v)))
    const factor = fn.local('v128', 'factor', f32x4.splat(scale))
    fn.repeat(count, () => {
      const weights = each((v) =>
        keep(math, exp2(math, keep(math, f32x4.sub(v128.load(scores, 16 * v), logarithm[v]!)))),
      )
      each((v) => fn.store('v128', scores, weights[v]!, 16 * v))
      const slope = each((v) =>
        keep(math, f32x4.mul(f32x4.mul(weights[v]!, factor), f32x4.sub(v128.load(slopes, 16 * v), projection[v]!))),
      )
      each((v) => fn.store('v128', slopes, slope[v]!, 16 * v))
      fn.increment(scores, step)
      fn.increment(slopes, step)
    })
  })
}
