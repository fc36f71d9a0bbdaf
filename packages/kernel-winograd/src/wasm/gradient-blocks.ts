import { type FunctionHandle, i32, type Local, type ModuleBuilder, type Variant, v128 } from '@tessera/backend-wasm'
import { type Algorithm, taps } from '../algorithms.ts'
import { elements, emitTouch, square } from './filter-blocks.ts'
import { transpose } from './lanes.ts'
import { emitLinear, loadFactors } from './linear.ts'

/** How a block of sums is transformed back to filters. */
export interface GradientBlockShape {
  /** The most filters of a row, a multiple of eight. */
  readonly most: number
  /** Bytes from what one product gave to what the next one gave. */
  readonly productStep: number
}

/** Bytes of scratch memory: the elements of a row of filters, and filters at its end. */
export const gradientScratchBytes = ({ most }: Pick<GradientBlockShape, 'most'>): number => square * most + 4 * square

const parameters = {
  /** The first row's sums of the first product. */
  source: 'i32',
  rows: 'i32',
  sourceStep: 'i32',
  /** Filters of a row, side by side at the target. */
  count: 'i32',
  target: 'i32',
  targetStep: 'i32',
  scratch: 'i32',
} as const

export type GradientBlockFunction = FunctionHandle<typeof parameters, 'void'>

/** Emits the transform of the sums of α² products, `[rows, count]` at `source + p · productStep` for product p, back to rows of filters. */
export function emitGradientBlock(
  module: ModuleBuilder,
  variant: Variant,
  algorithm: Algorithm,
  shape: GradientBlockShape,
): GradientBlockFunction {
  const transform = emitTransform(module, variant, algorithm, shape)
  const touch = emitTouch(module)
  const toFilters = emitToFilters(module, shape.most)
  return module.function('winogradGradientBlock', parameters, 'void', (fn, given) => {
    const { source, rows, sourceStep, count, target, targetStep, scratch } = given
    fn.call(touch, { source: target, lines: rows, step: targetStep, bytes: i32.mul(count, square), scratch })
    fn.repeat(rows, () => {
      fn.call(transform, { source, count, target: scratch })
      fn.call(toFilters, { source: scratch, count, target, patch: i32.add(scratch, square * shape.most) })
      fn.increment(source, sourceStep)
      fn.increment(target, targetStep)
    })
  })
}

const transformParameters = { source: 'i32', count: 'i32', target: 'i32' } as const

/** Emits the transform of a row: element t of filter i goes to `target + 4 · (t · most + i)`. */
function emitTransform(
  module: ModuleBuilder,
  variant: Variant,
  { size, filterGradient: program }: Algorithm,
  { most, productStep }: GradientBlockShape,
): FunctionHandle<typeof transformParameters, 'void'> {
  // The revectoriser makes one instruction of two neighbouring vectors.
  const halves = variant === 'wide' ? [0, 16] : [0]
  return module.function('winogradGradientRow', transformParameters, 'void', (fn, { source, count, target }) => {
    const factors = loadFactors(fn, program)
    fn.while(i32.gtS(count, 0), () => {
      // Locals that are used again, column after column: each that is set in a loop counts as a use outside of pairs.
      const middle = halves.map(() => Array.from({ length: size }, () => fn.locals('v128', taps, 'middle')))
      for (let x = 0; x < size; x++) {
        fn.scope(() => {
          const column = (half: number) =>
            Array.from({ length: size }, (_, y) =>
              fn.local('v128', 'sum', v128.load(source, (size * y + x) * productStep + half)),
            )
          halves.map(column).forEach((sums, i) => {
            const results = emitLinear(fn, variant, program, factors, sums)
            results.forEach((value, y) => {
              fn.set(middle[i]![x]![y]!, value)
            })
          })
        })
      }
      const results = middle.map((columns) =>
        Array.from({ length: taps }, (_, y) =>
          emitLinear(
            fn,
            variant,
            program,
            factors,
            columns.map((column) => column[y]!),
          ),
        ).flat(),
      )
      for (let t = 0; t < elements; t++) {
        halves.forEach((half, i) => {
          fn.store('v128', target, results[i]![t]!, 4 * t * most + half)
        })
      }
      fn.increment(source, 16 * halves.length)
      fn.increment(target, 16 * halves.length)
      fn.increment(count, -4 * halves.length)
    })
  })
}

const filtersParameters = { source: 'i32', count: 'i32', target: 'i32', patch: 'i32' } as const

/** Emits the joining of elements to filters that lie side by side. */
function emitToFilters(module: ModuleBuilder, most: number): FunctionHandle<typeof filtersParameters, 'void'> {
  return module.function(
    'winogradGradientFilters',
    filtersParameters,
    'void',
    (fn, { source, count, target, patch }) => {
      fn.while(i32.gtS(count, 0), () => {
        const isPart = fn.local('i32', 'isPart', i32.ltS(count, 4))
        const into = fn.local('i32', 'into', target)
        fn.if(isPart, () => fn.set(into, patch))
        const load = (t: number): Local<'v128'> => fn.local('v128', 'element', v128.load(source, 4 * t * most))
        for (const first of [0, 4]) {
          const rows = transpose(
            fn,
            [0, 1, 2, 3].map((t) => load(first + t)),
            4,
          )
          rows.forEach((row, lane) => {
            fn.store('v128', into, row, lane * square + 4 * first)
          })
        }
        const last = load(elements - 1)
        for (let lane = 0; lane < 4; lane++) fn.storeLane(32, into, last, lane, (lane + 1) * square - 4)
        fn.if(isPart, () => fn.memoryCopy(target, patch, i32.mul(count, square)))
        fn.increment(source, 16)
        fn.increment(target, 4 * square)
        fn.increment(count, -4)
      })
    },
  )
}
