import type { FunctionHandle, Local, ModuleBuilder, Operand } from '../../assembler/index.ts'
import { f32, f32x4, i32, v128 } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { multiplyAdd } from '../matmul/tile.ts'
import { min } from '../matmul/tiles.ts'
import { type DepthwiseWord, depthwiseTable, depthwiseWord } from './depthwise-plan.ts'

/** Parameters of one unit of work; `target` is the place of its result if that is staged. */
export const depthwiseParameters = {
  descriptor: 'i32',
  source: 'i32',
  filter: 'i32',
  target: 'i32',
  scratch: 'i32',
  unit: 'i32',
} as const

const word = (descriptor: Operand<'i32'>, name: DepthwiseWord) => i32.load(descriptor, depthwiseWord(name))

const bandParameters = { descriptor: 'i32', source: 'i32', row: 'i32', destination: 'i32' } as const

/**
 * Emits the function that copies a band of every channel of a group into scratch memory, with zeros around it. `source` is the group in its
 * image, `row` the row of the result that the band begins with.
 */
export function emitBand(module: ModuleBuilder): FunctionHandle<typeof bandParameters, 'void'> {
  return module.function('depthwiseBand', bandParameters, 'void', (fn, { descriptor, source, row, destination }) => {
    const load = (name: DepthwiseWord) => fn.local('i32', name, word(descriptor, name))
    const [planeRows, pitch, stepX, lowX] = [load('planeRows'), load('pitch'), load('stepX'), load('lowX')]
    const [extentY, extentX, sourceRow, sourceChannel] = [
      load('extentY'),
      load('extentX'),
      load('sourceRow'),
      load('sourceChannel'),
    ]
    const firstY = fn.local('i32', 'firstY', i32.add(i32.mul(row, word(descriptor, 'stepY')), word(descriptor, 'lowY')))
    const columns = fn.local('i32', 'columns', i32.shrU(pitch, 2))
    const zero = fn.local('v128', 'zero', f32x4.splat(0))
    fn.repeat(word(descriptor, 'channels'), () => {
      fn.forRange(0, planeRows, 1, (r) => {
        const y = fn.local('i32', 'y', i32.add(firstY, r))
        fn.forRange(0, stepX, 1, (phase) => {
          const fill = fn.local('i32', 'fill', destination)
          fn.repeat(i32.shrU(pitch, 6), () => {
            for (const offset of [0, 16, 32, 48]) fn.store('v128', fill, zero, offset)
            fn.increment(fill, 64)
          })
          // Unsigned, so that rows before the first are outside too.
          fn.if(i32.ltU(y, extentY), () => {
            const x = fn.local('i32', 'x', i32.add(lowX, phase))
            const skipped = fn.local('i32', 'skipped', 0)
            fn.if(i32.ltS(x, 0), () => {
              fn.set(skipped, i32.divU(i32.sub(i32.sub(stepX, 1), x), stepX))
              fn.increment(x, i32.mul(skipped, stepX))
            })
            const left = i32.divS(i32.sub(i32.add(i32.sub(extentX, x), stepX), 1), stepX)
            const count = fn.local('i32', 'count', left)
            fn.set(count, min(count, i32.sub(columns, skipped)))
            const from = fn.local('i32', 'from', i32.add(source, i32.add(i32.mul(y, sourceRow), i32.shl(x, 2))))
            const to = fn.local('i32', 'to', i32.add(destination, i32.shl(skipped, 2)))
            fn.if(i32.eq(stepX, 1), () => {
              fn.while(i32.geS(count, 4), () => {
                fn.store('v128', to, v128.load(from))
                for (const pointer of [from, to]) fn.increment(pointer, 16)
                fn.increment(count, -4)
              })
            })
            const step = fn.local('i32', 'step', i32.shl(stepX, 2))
            fn.repeat(count, () => {
              fn.store('f32', to, f32.load(from))
              fn.increment(from, step)
              fn.increment(to, 4)
            })
          })
          fn.increment(destination, pitch)
        })
      })
      fn.increment(source, sourceChannel)
    })
  })
}

/**
 * Emits one unit of a convolution of groups of few channels, or of its gradient to the input: for each group a band of its planes is padded, and
 * every result is the sum over a table of taps of weights times floats of the band, neighbouring results in vectors.
 */
export function emitDepthwise(
  module: ModuleBuilder,
  variant: Variant,
): FunctionHandle<typeof depthwiseParameters, 'void'> {
  const band = emitBand(module)
  const rowParameters = { descriptor: 'i32', weights: 'i32', from: 'i32', to: 'i32' } as const
  const row = module.function('depthwiseRow', rowParameters, 'void', (fn, { descriptor, weights, from, to }) => {
    const entries = fn.local('i32', 'entries', word(descriptor, 'entries'))
    const targetX = fn.local('i32', 'targetX', word(descriptor, 'targetX'))
    const isContiguous = fn.local('i32', 'isContiguous', i32.eq(targetX, 4))
    const rest = fn.local('i32', 'rest', word(descriptor, 'gridX'))
    const table = fn.local('i32', 'table', i32.add(descriptor, depthwiseTable))
    /** The sums of some vectors of results. */
    const sumsOf = (vectors: number): Local<'v128'>[] => {
      const sums = fn.locals('v128', vectors, 'sum')
      for (const sum of sums) fn.set(sum, v128.const(new Int32Array(4)))
      const entry = fn.local('i32', 'entry', table)
      fn.repeat(entries, () => {
        const at = fn.local('i32', 'at', i32.add(from, i32.load(entry)))
        const weight = fn.local('v128', 'weight', v128.load32Splat(i32.add(weights, i32.load(entry, 4))))
        const values = sums.map((_, i) => fn.local('v128', 'value', v128.load(at, 16 * i)))
        sums.forEach((sum, i) => {
          fn.set(sum, multiplyAdd(variant, weight, values[i]!, sum))
        })
        fn.increment(entry, 8)
      })
      return sums
    }
    const advance = (count: number) => {
      fn.increment(from, 4 * count)
      fn.increment(to, i32.mul(targetX, count))
      fn.increment(rest, -count)
    }
    fn.if(isContiguous, () => {
      for (const vectors of [4, 2, 1]) {
        fn.while(i32.geS(rest, 4 * vectors), () => {
          sumsOf(vectors).forEach((sum, i) => {
            fn.store('v128', to, sum, 16 * i)
          })
          advance(4 * vectors)
        })
      }
    })
    // The band is wide enough to read whole vectors; results that do not exist are not stored.
    fn.while(i32.gtS(rest, 0), () => {
      const [sum] = sumsOf(1) as [Local<'v128'>]
      const place = fn.local('i32', 'place', to)
      for (let lane = 0; lane < 4; lane++) {
        fn.if(i32.gtS(rest, lane), () => fn.store('f32', place, f32x4.extractLane(sum, lane)))
        fn.increment(place, targetX)
      }
      advance(4)
    })
  })

  return module.function('depthwiseUnit', depthwiseParameters, 'void', (fn, parameters) => {
    const { descriptor, source, filter, target, scratch, unit } = parameters
    const load = (name: DepthwiseWord) => fn.local('i32', name, word(descriptor, name))
    const [units, unitGroups, rows, gridY, bandRows] = [
      load('units'),
      load('unitGroups'),
      load('rows'),
      load('gridY'),
      load('bandRows'),
    ]
    const [filterRow, targetRow, targetY] = [load('filterRow'), load('targetRow'), load('targetY')]
    const rowStep = fn.local(
      'i32',
      'rowStep',
      i32.mul(word(descriptor, 'stepY'), i32.mul(word(descriptor, 'stepX'), word(descriptor, 'pitch'))),
    )
    const image = fn.local('i32', 'image', i32.divU(unit, units))
    const first = fn.local('i32', 'first', i32.mul(i32.remU(unit, units), unitGroups))
    const count = fn.local('i32', 'count', min(unitGroups, i32.sub(word(descriptor, 'groups'), first)))
    fn.increment(source, i32.mul(image, word(descriptor, 'sourceImage')))
    fn.increment(source, i32.mul(first, word(descriptor, 'sourceGroup')))
    fn.increment(filter, i32.mul(first, word(descriptor, 'filterGroup')))
    fn.if(i32.eqz(word(descriptor, 'isStaged')), () => {
      fn.increment(target, i32.mul(image, word(descriptor, 'targetImage')))
      fn.increment(target, i32.mul(first, word(descriptor, 'targetGroup')))
    })
    fn.repeat(count, () => {
      fn.forRange(0, gridY, bandRows, (y) => {
        fn.call(band, { descriptor, source, row: y, destination: scratch })
        const here = fn.local('i32', 'here', min(bandRows, i32.sub(gridY, y)))
        const weights = fn.local('i32', 'weights', filter)
        const plane = fn.local('i32', 'plane', i32.add(target, i32.mul(y, targetY)))
        fn.repeat(rows, () => {
          const [from, to] = [fn.local('i32', 'from', scratch), fn.local('i32', 'to', plane)]
          fn.repeat(here, () => {
            fn.call(row, { descriptor, weights, from, to })
            fn.increment(from, rowStep)
            fn.increment(to, targetY)
          })
          fn.increment(weights, filterRow)
          fn.increment(plane, targetRow)
        })
      })
      fn.increment(source, word(descriptor, 'sourceGroup'))
      fn.increment(filter, word(descriptor, 'filterGroup'))
      fn.increment(target, word(descriptor, 'targetGroup'))
    })
  })
}

/**
 * Emits one unit of the gradient to the filters: `source` is the input, `filter` the error, `target` the result. For each group, bands of its
 * planes and of the errors are padded with zeros; each weight's gradient is the sum of their products over images, in order.
 */
export function emitDepthwiseFilter(
  module: ModuleBuilder,
  variant: Variant,
): FunctionHandle<typeof depthwiseParameters, 'void'> {
  const band = emitBand(module)
  const errorParameters = { descriptor: 'i32', source: 'i32', rows: 'i32', destination: 'i32' } as const
  const padErrors = module.function('depthwiseErrors', errorParameters, 'void', (fn, parameters) => {
    const { descriptor, source, rows, destination } = parameters
    const gridX = fn.local('i32', 'gridX', word(descriptor, 'gridX'))
    const errorPitch = fn.local('i32', 'errorPitch', word(descriptor, 'errorPitch'))
    fn.repeat(rows, () => {
      const [to, rest] = [fn.local('i32', 'to', destination), fn.local('i32', 'rest', gridX)]
      const end = fn.local('i32', 'end', i32.add(destination, errorPitch))
      fn.while(i32.geS(rest, 4), () => {
        fn.store('v128', to, v128.load(source))
        for (const pointer of [source, to]) fn.increment(pointer, 16)
        fn.increment(rest, -4)
      })
      fn.repeat(rest, () => {
        fn.store('f32', to, f32.load(source))
        for (const pointer of [source, to]) fn.increment(pointer, 4)
      })
      fn.while(i32.ltU(to, end), () => {
        fn.store('f32', to, 0)
        fn.increment(to, 4)
      })
      fn.set(destination, end)
    })
  })

  const sumParameters = { descriptor: 'i32', values: 'i32', errors: 'i32', rows: 'i32', sums: 'i32' } as const
  /** Adds to the sums of every entry of the table its products over a band. */
  const addBand = module.function('depthwiseProducts', sumParameters, 'void', (fn, parameters) => {
    const { descriptor, values, errors, rows, sums } = parameters
    const errorPitch = fn.local('i32', 'errorPitch', word(descriptor, 'errorPitch'))
    const rowStep = fn.local(
      'i32',
      'rowStep',
      i32.mul(word(descriptor, 'stepY'), i32.mul(word(descriptor, 'stepX'), word(descriptor, 'pitch'))),
    )
    const entry = fn.local('i32', 'entry', i32.add(descriptor, depthwiseTable))
    fn.repeat(word(descriptor, 'entries'), () => {
      const parts = fn.locals('v128', 4, 'part')
      for (const part of parts) fn.set(part, v128.const(new Int32Array(4)))
      const valueRow = fn.local('i32', 'valueRow', i32.add(values, i32.load(entry)))
      const error = fn.local('i32', 'error', errors)
      fn.repeat(rows, () => {
        const value = fn.local('i32', 'value', valueRow)
        fn.repeat(i32.shrU(errorPitch, 6), () => {
          const left = parts.map((_, i) => fn.local('v128', 'left', v128.load(error, 16 * i)))
          const right = parts.map((_, i) => fn.local('v128', 'right', v128.load(value, 16 * i)))
          parts.forEach((part, i) => {
            fn.set(part, multiplyAdd(variant, left[i]!, right[i]!, part))
          })
          for (const pointer of [error, value]) fn.increment(pointer, 64)
        })
        fn.increment(valueRow, rowStep)
      })
      const both = f32x4.add(f32x4.add(parts[0]!, parts[1]!), f32x4.add(parts[2]!, parts[3]!))
      fn.store('v128', sums, f32x4.add(v128.load(sums), both))
      fn.increment(sums, 16)
      fn.increment(entry, 8)
    })
  })

  return module.function('depthwiseFilterUnit', depthwiseParameters, 'void', (fn, parameters) => {
    const { descriptor, source, filter, target, scratch, unit } = parameters
    const load = (name: DepthwiseWord) => fn.local('i32', name, word(descriptor, name))
    const [images, unitGroups, rows, gridY, bandRows, entries] = [
      load('images'),
      load('unitGroups'),
      load('rows'),
      load('gridY'),
      load('bandRows'),
      load('entries'),
    ]
    const [targetRow, targetY, filterRow] = [load('targetRow'), load('targetY'), load('filterRow')]
    const errors = fn.local('i32', 'errors', i32.add(scratch, word(descriptor, 'scratchErrors')))
    const sums = fn.local('i32', 'sums', i32.add(scratch, word(descriptor, 'scratchSums')))
    const sumStep = fn.local('i32', 'sumStep', i32.shl(entries, 4))
    const first = fn.local('i32', 'first', i32.mul(unit, unitGroups))
    const count = fn.local('i32', 'count', min(unitGroups, i32.sub(word(descriptor, 'groups'), first)))
    fn.increment(source, i32.mul(first, word(descriptor, 'sourceGroup')))
    fn.increment(filter, i32.mul(first, word(descriptor, 'targetGroup')))
    fn.increment(target, i32.mul(first, word(descriptor, 'filterGroup')))
    fn.repeat(count, () => {
      fn.memoryFill(sums, 0, i32.mul(rows, sumStep))
      const [plane, gradient] = [fn.local('i32', 'plane', source), fn.local('i32', 'gradient', filter)]
      fn.repeat(images, () => {
        fn.forRange(0, gridY, bandRows, (y) => {
          fn.call(band, { descriptor, source: plane, row: y, destination: scratch })
          const here = fn.local('i32', 'here', min(bandRows, i32.sub(gridY, y)))
          const from = fn.local('i32', 'from', i32.add(gradient, i32.mul(y, targetY)))
          const sum = fn.local('i32', 'sum', sums)
          fn.repeat(rows, () => {
            fn.call(padErrors, { descriptor, source: from, rows: here, destination: errors })
            fn.call(addBand, { descriptor, values: scratch, errors, rows: here, sums: sum })
            fn.increment(from, targetRow)
            fn.increment(sum, sumStep)
          })
        })
        fn.increment(plane, word(descriptor, 'sourceImage'))
        fn.increment(gradient, word(descriptor, 'targetImage'))
      })
      const [sum, place] = [fn.local('i32', 'sum', sums), fn.local('i32', 'place', target)]
      fn.repeat(rows, () => {
        const entry = fn.local('i32', 'entry', i32.add(descriptor, depthwiseTable))
        fn.repeat(entries, () => {
          const both = fn.local('v128', 'both', v128.load(sum))
          fn.set(both, f32x4.add(both, v128.shuffle32(both, both, [2, 3, 0, 1])))
          const total = f32.add(f32x4.extractLane(both, 0), f32x4.extractLane(both, 1))
          fn.store('f32', i32.add(place, i32.load(entry, 4)), total)
          fn.increment(sum, 16)
          fn.increment(entry, 8)
        })
        fn.increment(place, filterRow)
      })
      fn.increment(source, word(descriptor, 'sourceGroup'))
      fn.increment(filter, word(descriptor, 'targetGroup'))
      fn.increment(target, word(descriptor, 'filterGroup'))
    })
  })
}
