import type { Expression, FunctionBuilder, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32, f32x4, i32, v128 } from '../../assembler/index.ts'
import { strideBytes, word } from './descriptor.ts'
import { loadFloats, storeFloats } from './pack.ts'
import { multiplyAdd } from './tile.ts'
import type { PartFunction } from './tiles.ts'
import { min, partParameters, tileScratchBytes } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'

type PartBuilder = FunctionBuilder<typeof partParameters, 'void'>

/** Columns of C that stay in the first-level cache while rows of B stream by. */
const axpyColumns = 1024

/** Steps between elements of C and of what is added to it, in bytes, as locals. */
interface Steps {
  readonly cRow: Local<'i32'>
  readonly cColumn: Local<'i32'>
  readonly addendRow: Local<'i32'>
  readonly addendColumn: Local<'i32'>
}

/** Loads the steps; afterwards the parameter `addend` is the address of what is added to the product (a zero, if nothing is). */
function prepareAddend(fn: PartBuilder): Steps {
  const { descriptor, addend, c, scratch } = fn.parameters
  const steps: Steps = {
    cRow: fn.local('i32', 'cRow', strideBytes(descriptor, 'cRowStride')),
    cColumn: fn.local('i32', 'cColumn', strideBytes(descriptor, 'cColumnStride')),
    addendRow: fn.local('i32', 'addendRow', strideBytes(descriptor, 'addendRowStride')),
    addendColumn: fn.local('i32', 'addendColumn', strideBytes(descriptor, 'addendColumnStride')),
  }
  fn.if(i32.eqz(word(descriptor, 'addendKind')), () => {
    fn.store('f32', scratch, 0)
    fn.set(addend, scratch)
    fn.set(steps.addendRow, 0)
    fn.set(steps.addendColumn, 0)
  })
  fn.if(i32.eq(word(descriptor, 'addendKind'), 2), () => {
    fn.set(addend, c)
    fn.set(steps.addendRow, steps.cRow)
    fn.set(steps.addendColumn, steps.cColumn)
  })
  return steps
}

/**
 * Emits the product of a few rows with a row-major B: C starts as the addend, then C[i, :] += a[i, k] · B[k, :] for four k at a time, so that
 * B streams from memory once for each pair of rows. Columns of C are adjacent.
 */
export function emitAxpy(module: ModuleBuilder, tuning: MatmulTuning): PartFunction {
  const one = emitAxpyRows(module, tuning, 1)
  const two = emitAxpyRows(module, tuning, 2)
  return module.function('matmulAxpy', partParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, addend, c, m, n, scratch } = parameters
    const { cRow, addendRow, addendColumn } = prepareAddend(fn)
    const aRow = fn.local('i32', 'aRow', strideBytes(descriptor, 'aRowStride'))
    fn.while(i32.gtS(m, 0), () => {
      const source = fn.local('i32', 'source', addend)
      const target = fn.local('i32', 'target', c)
      fn.repeat(n, () => {
        fn.store('f32', target, f32.load(source))
        fn.increment(source, addendColumn)
        fn.increment(target, 4)
      })
      fn.increment(addend, addendRow)
      // The second row of a pair is filled here as well, before the product of both.
      fn.if(i32.geS(m, 2), () => {
        fn.set(source, addend)
        fn.set(target, i32.add(c, cRow))
        fn.repeat(n, () => {
          fn.store('f32', target, f32.load(source))
          fn.increment(source, addendColumn)
          fn.increment(target, 4)
        })
        fn.increment(addend, addendRow)
      })
      const shared = { descriptor, a, b, addend, c, scratch, n }
      fn.if(
        i32.geS(m, 2),
        () => fn.call(two, { ...shared, m: 2 }),
        () => fn.call(one, { ...shared, m: 1 }),
      )
      fn.increment(a, i32.shl(aRow, 1))
      fn.increment(c, i32.shl(cRow, 1))
      fn.increment(m, -2)
    })
  })
}

function emitAxpyRows(module: ModuleBuilder, tuning: MatmulTuning, rows: number): PartFunction {
  return module.function(`matmulAxpy${rows}`, partParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, c, n } = parameters
    const k = fn.local('i32', 'k', word(descriptor, 'k'))
    const aRow = fn.local('i32', 'aRow', strideBytes(descriptor, 'aRowStride'))
    const aColumn = fn.local('i32', 'aColumn', strideBytes(descriptor, 'aColumnStride'))
    const bRow = fn.local('i32', 'bRow', strideBytes(descriptor, 'bRowStride'))
    const cRow = fn.local('i32', 'cRow', strideBytes(descriptor, 'cRowStride'))
    fn.while(i32.gtS(n, 0), () => {
      const columns = fn.local('i32', 'columns', min(i32.const(axpyColumns), n))
      const rest = fn.local('i32', 'rest', k)
      const aElement = fn.local('i32', 'aElement', a)
      const bStart = fn.local('i32', 'bStart', b)
      const steps = (depth: number) => {
        const left = Array.from({ length: rows }, () => fn.locals('v128', depth, 'left'))
        for (let u = 0; u < depth; u++) {
          const address = fn.local('i32', 'address', aElement)
          for (let i = 0; i < rows; i++) {
            fn.set(left[i]![u]!, v128.load32Splat(address))
            if (i + 1 < rows) fn.increment(address, aRow)
          }
          fn.increment(aElement, aColumn)
        }
        addRows(fn, tuning, left, { bStart, bRow, c, cRow, columns })
        fn.increment(bStart, i32.mul(bRow, depth))
        fn.increment(rest, -depth)
      }
      fn.while(i32.geS(rest, 4), () => steps(4))
      fn.while(i32.gtS(rest, 0), () => steps(1))
      fn.increment(b, 4 * axpyColumns)
      fn.increment(c, 4 * axpyColumns)
      fn.increment(n, -axpyColumns)
    })
  })
}

/** C[i, :] += Σ left[i][u] · B[u, :], the sum in order of u. */
function addRows(
  fn: PartBuilder,
  tuning: MatmulTuning,
  left: readonly (readonly Local<'v128'>[])[],
  at: Record<'bStart' | 'bRow' | 'c' | 'cRow' | 'columns', Local<'i32'>>,
): void {
  const depth = left[0]?.length ?? 0
  fn.scope(() => {
    const chain = (start: Expression<'i32'>, step: Expression<'i32'>, count: number) => {
      const pointers = Array.from({ length: count }, () => fn.local('i32', 'pointer'))
      pointers.forEach((pointer, i) => {
        fn.set(pointer, i === 0 ? start : i32.add(pointers[i - 1]!, step))
      })
      return pointers
    }
    const bRows = chain(at.bStart, at.bRow, depth)
    const cRows = chain(at.c, at.cRow, left.length)
    const rest = fn.local('i32', 'rest', at.columns)
    /** Adds to `vectors` vectors of `lanes` columns. */
    const columns = (vectors: number, lanes: number) => {
      const sums = cRows.map((row) =>
        Array.from({ length: vectors }, (_, j) => fn.local('v128', 'sum', loadFloats(row, lanes, 16 * j))),
      )
      bRows.forEach((row, u) => {
        const right = Array.from({ length: vectors }, (_, j) =>
          fn.local('v128', 'right', loadFloats(row, lanes, 16 * j)),
        )
        sums.forEach((sum, i) => {
          for (let j = 0; j < vectors; j++)
            fn.set(sum[j]!, multiplyAdd(tuning.variant, left[i]![u]!, right[j]!, sum[j]!))
        })
      })
      cRows.forEach((row, i) => {
        for (let j = 0; j < vectors; j++) storeFloats(fn, row, sums[i]![j]!, lanes, 16 * j)
      })
      for (const pointer of [...bRows, ...cRows]) fn.increment(pointer, 4 * vectors * lanes)
      fn.increment(rest, -vectors * lanes)
    }
    fn.while(i32.geS(rest, 8), () => columns(2, 4))
    fn.while(i32.gtS(rest, 0), () => columns(1, 1))
  })
}

/**
 * Emits the product of a few rows with a column-major B: every element of C is a dot product of adjacent floats, four columns at a time. Each
 * sums eight interleaved parts of k, then the rest of k, then the addend, in the same order for every element.
 */
export function emitDot(module: ModuleBuilder, tuning: MatmulTuning): PartFunction {
  return module.function('matmulDot', partParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, addend, c, m } = parameters
    const steps = prepareAddend(fn)
    const aRow = fn.local('i32', 'aRow', strideBytes(descriptor, 'aRowStride'))
    const bColumn = fn.local('i32', 'bColumn', strideBytes(descriptor, 'bColumnStride'))
    const k = fn.local('i32', 'k', word(descriptor, 'k'))
    fn.while(i32.gtS(m, 0), () => {
      const right = fn.local('i32', 'right', b)
      const added = fn.local('i32', 'added', addend)
      const target = fn.local('i32', 'target', c)
      const rest = fn.local('i32', 'rest', parameters.n)
      const columns = (count: number) => {
        dotColumns(fn, tuning, count, { right, bColumn, k, added, target, steps })
        fn.increment(right, i32.mul(bColumn, count))
        fn.increment(rest, -count)
      }
      fn.while(i32.geS(rest, 4), () => columns(4))
      fn.while(i32.gtS(rest, 0), () => columns(1))
      fn.increment(a, aRow)
      fn.increment(addend, steps.addendRow)
      fn.increment(c, steps.cRow)
      fn.increment(m, -1)
    })
  })
}

function dotColumns(
  fn: PartBuilder,
  tuning: MatmulTuning,
  count: number,
  at: Record<'right' | 'bColumn' | 'k' | 'added' | 'target', Local<'i32'>> & { readonly steps: Steps },
): void {
  fn.scope(() => {
    const { a, scratch } = fn.parameters
    const left = fn.local('i32', 'left', a)
    const columns = Array.from({ length: count }, () => fn.local('i32', 'column'))
    columns.forEach((column, i) => {
      fn.set(column, i === 0 ? at.right : i32.add(columns[i - 1]!, at.bColumn))
    })
    const zero = v128.const(new Int32Array(4))
    const sums = columns.map(() => [fn.local('v128', 'sum', zero), fn.local('v128', 'sum', zero)])
    const rest = fn.local('i32', 'rest', at.k)
    fn.while(i32.geS(rest, 8), () => {
      const x = [0, 16].map((offset) => fn.local('v128', 'x', v128.load(left, offset)))
      columns.forEach((column, i) => {
        sums[i]!.forEach((sum, j) => {
          fn.set(sum, multiplyAdd(tuning.variant, x[j]!, v128.load(column, 16 * j), sum))
        })
      })
      for (const pointer of [left, ...columns]) fn.increment(pointer, 32)
      fn.increment(rest, -8)
    })
    // The detour through memory lets the revectoriser see the pair of sums as one vector of eight floats.
    const spill = tileScratchBytes(tuning).zeros
    sums.forEach((pair, i) => {
      pair.forEach((sum, j) => {
        fn.store('v128', scratch, sum, spill + 32 * i + 16 * j)
      })
    })
    columns.forEach((column, i) => {
      const both = fn.local(
        'v128',
        'both',
        f32x4.add(v128.load(scratch, spill + 32 * i), v128.load(scratch, spill + 32 * i + 16)),
      )
      fn.set(both, f32x4.add(both, v128.shuffle32(both, both, [2, 3, 0, 1])))
      const total = fn.local('f32', 'total', f32.add(f32x4.extractLane(both, 0), f32x4.extractLane(both, 1)))
      fn.scope(() => {
        const element = fn.local('i32', 'element', left)
        fn.repeat(rest, () => {
          fn.set(total, f32.add(total, f32.mul(f32.load(element), f32.load(column))))
          fn.increment(element, 4)
          fn.increment(column, 4)
        })
      })
      fn.store('f32', at.target, f32.add(total, f32.load(at.added)))
      fn.increment(at.target, at.steps.cColumn)
      fn.increment(at.added, at.steps.addendColumn)
    })
  })
}
