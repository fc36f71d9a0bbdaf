import {
  type Expression,
  type FunctionHandle,
  i32,
  type Local,
  type ModuleBuilder,
  type Variant,
  v128,
} from '@tessera/backend-wasm'
import { type Algorithm, taps } from '../algorithms.ts'
import { transpose } from './lanes.ts'
import { emitLinear, loadFactors } from './linear.ts'

/** Elements of a filter, and its bytes. */
export const elements = taps * taps
export const square = 4 * elements

/** How a block of filters is transformed. */
export interface FilterBlockShape {
  /** The most filters of a line, a multiple of eight. */
  readonly most: number
  /** Lines whose filters are put into lanes before they are transformed: the second step then reads what has left the processor's store queue. */
  readonly together: number
  /** Bytes from what one product takes to what the next one takes. */
  readonly productStep: number
  /** Filters lie turned by 180°. */
  readonly turned: boolean
}

/** Bytes of scratch memory: the lanes of some lines, and filters at the end of a line. */
export const filterScratchBytes = ({ most, together }: Pick<FilterBlockShape, 'most' | 'together'>): number =>
  together * square * most + 4 * square

const parameters = {
  /** The first filter of the first line; the filters of a line lie side by side. */
  source: 'i32',
  lines: 'i32',
  sourceStep: 'i32',
  /** Filters of a line. */
  count: 'i32',
  target: 'i32',
  targetStep: 'i32',
  scratch: 'i32',
} as const

export type FilterBlockFunction = FunctionHandle<typeof parameters, 'void'>

/**
 * Emits the transform of lines of filters: what product p takes of filter i of a line goes to `target + p · productStep + 4 · i`. Lines are filled up
 * to a multiple of eight with anything.
 */
export function emitFilterBlock(
  module: ModuleBuilder,
  variant: Variant,
  algorithm: Algorithm,
  shape: FilterBlockShape,
): FilterBlockFunction {
  const { most, together } = shape
  const toLanes = emitToLanes(module, most)
  const touch = emitTouch(module)
  const transform = emitTransform(module, variant, algorithm, shape)
  return module.function('winogradFilterBlock', parameters, 'void', (fn, given) => {
    const { source, lines, sourceStep, count, target, targetStep, scratch } = given
    const patch = fn.local('i32', 'patch', i32.add(scratch, together * square * most))
    const forLines = (lanes: Local<'i32'>, body: () => void) => {
      const rest = fn.local('i32', 'rest', together)
      fn.while(i32.and(i32.gtS(rest, 0), i32.geS(i32.add(lines, rest), together + 1)), () => {
        body()
        fn.increment(lanes, square * most)
        fn.increment(rest, -1)
      })
    }
    fn.call(touch, { source, lines, step: sourceStep, bytes: i32.mul(count, square), scratch })
    fn.while(i32.gtS(lines, 0), () => {
      const [into, from] = [fn.local('i32', 'into', scratch), fn.local('i32', 'from', scratch)]
      forLines(into, () => {
        fn.call(toLanes, { source, count, target: into, patch })
        fn.increment(source, sourceStep)
      })
      forLines(from, () => {
        fn.call(transform, { source: from, count, target })
        fn.increment(target, targetStep)
      })
      fn.increment(lines, -together)
    })
  })
}

const touchParameters = { source: 'i32', lines: 'i32', step: 'i32', bytes: 'i32', scratch: 'i32' } as const

/**
 * Emits loads of one word from each line of the cache that filters take. They wait for memory together; the short streams of the loop that computes
 * (or writes) would wait one after the other.
 */
export function emitTouch(module: ModuleBuilder): FunctionHandle<typeof touchParameters, 'void'> {
  return module.function('winogradTouch', touchParameters, 'void', (fn, { source, lines, step, bytes, scratch }) => {
    const all = fn.local('i32', 'all', 0)
    fn.repeat(lines, () => {
      fn.forRange(source, i32.add(source, bytes), 64, (place) => fn.set(all, i32.or(all, i32.load(place))))
      fn.increment(source, step)
    })
    fn.store('i32', scratch, all)
  })
}

const lanesParameters = { source: 'i32', count: 'i32', target: 'i32', patch: 'i32' } as const

/** Emits the division of a line of filters into its elements: element t of filter i goes to `target + 4 · (t · most + i)`. */
function emitToLanes(module: ModuleBuilder, most: number): FunctionHandle<typeof lanesParameters, 'void'> {
  return module.function('winogradFilterLanes', lanesParameters, 'void', (fn, { source, count, target, patch }) => {
    fn.while(i32.gtS(count, 0), () => {
      fn.if(i32.ltS(count, 4), () => {
        fn.memoryCopy(patch, source, i32.mul(count, square))
        fn.set(source, patch)
      })
      const columns = [0, 16].flatMap((offset) => {
        const rows = [0, 1, 2, 3].map((lane) => fn.local('v128', 'row', v128.load(source, lane * square + offset)))
        return transpose(fn, rows, 4)
      })
      let last = v128.load32Zero(source, square - 4)
      for (let lane = 1; lane < 4; lane++) last = v128.load32Lane(source, last, lane, (lane + 1) * square - 4)
      for (const [t, column] of [...columns, last].entries()) fn.store('v128', target, column, 4 * t * most)
      fn.increment(source, 4 * square)
      fn.increment(target, 16)
      fn.increment(count, -4)
    })
  })
}

const transformParameters = { source: 'i32', count: 'i32', target: 'i32' } as const

function emitTransform(
  module: ModuleBuilder,
  variant: Variant,
  { size, filter, turnedFilter }: Algorithm,
  { most, productStep, turned }: FilterBlockShape,
): FunctionHandle<typeof transformParameters, 'void'> {
  const program = turned ? turnedFilter : filter
  // The revectoriser makes one instruction of two neighbouring vectors.
  const halves = variant === 'wide' ? [0, 16] : [0]
  return module.function('winogradFilterLine', transformParameters, 'void', (fn, { source, count, target }) => {
    const factors = loadFactors(fn, program)
    const linear = (values: readonly Expression<'v128'>[]) => emitLinear(fn, variant, program, factors, values)
    fn.while(i32.gtS(count, 0), () => {
      const loaded = Array.from({ length: elements }, (_, t) =>
        halves.map((half) => fn.local('v128', 'element', v128.load(source, 4 * t * most + half))),
      )
      const middle = halves.map((_, half) => {
        const own = loaded.map((element) => element[half]!)
        return Array.from({ length: taps }, (_, y) => linear(own.slice(taps * y, taps * (y + 1))))
      })
      for (let x = 0; x < size; x++) {
        fn.scope(() => {
          const results = middle.map((rows) => linear(rows.map((row) => row[x]!)))
          for (let y = 0; y < size; y++) {
            halves.forEach((half, i) => {
              fn.store('v128', target, results[i]![y]!, (size * y + x) * productStep + half)
            })
          }
        })
      }
      fn.increment(source, 16 * halves.length)
      fn.increment(target, 16 * halves.length)
      fn.increment(count, -4 * halves.length)
    })
  })
}
