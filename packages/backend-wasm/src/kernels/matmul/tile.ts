import type { Expression, FunctionBuilder, FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32x4, i32, v128 } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { usesRelaxedSimd } from '../../variant.ts'

/**
 * How a tile kernel reads its rows × k part of A.
 *
 * - `columns`: the rows of a column are adjacent floats, columns `aStep` bytes apart: packed panels, or a transposed A as it lies in memory;
 * - `rows`: the columns of a row are adjacent floats, rows `aStep` bytes apart: a row-major A as it lies in memory.
 */
export type ALayout = 'columns' | 'rows'

export interface TileShape {
  /** Rows of C that one call computes. */
  readonly rows: number
  /** Columns of C, in vectors of four floats. */
  readonly vectors: number
}

/** Parameters of every tile kernel. Addresses and steps are in bytes. */
export const tileParameters = {
  /** First float of the part of A, and the step between its columns or rows. */
  a: 'i32',
  aStep: 'i32',
  /** First float of the k × columns part of B, whose rows are contiguous, and the step between rows. */
  b: 'i32',
  bStep: 'i32',
  k: 'i32',
  /** The tile that is added to the product, and the step between its rows (0 for one row that serves all). */
  addend: 'i32',
  addendStep: 'i32',
  /** Where the tile of C goes, and the step between its rows. */
  c: 'i32',
  cStep: 'i32',
} as const

export type TileFunction = FunctionHandle<typeof tileParameters, 'void'>
type TileBuilder = FunctionBuilder<typeof tileParameters, 'void'>

/** a · b + c, fused where the variant has it. */
export function multiplyAdd(
  variant: Variant,
  a: Expression<'v128'>,
  b: Expression<'v128'>,
  c: Expression<'v128'>,
): Expression<'v128'> {
  return usesRelaxedSimd(variant) ? f32x4.relaxedMadd(a, b, c) : f32x4.add(c, f32x4.mul(a, b))
}

/**
 * Emits the innermost kernel: C[rows, columns] = A[rows, k] · B[k, columns] + addend. Each element is summed over k in order, starting
 * from zero, and the addend is added last. All accumulators stay in registers.
 */
export function emitTile(
  module: ModuleBuilder,
  variant: Variant,
  shape: TileShape,
  layout: ALayout,
  unroll: number,
): TileFunction {
  const name = `matmulTile${shape.rows}x${4 * shape.vectors}${layout === 'rows' ? 'Rows' : ''}`
  return module.function(name, tileParameters, 'void', (fn, parameters) => {
    const { addend, addendStep, c, cStep } = parameters
    const sums = Array.from({ length: shape.rows }, () => fn.locals('v128', shape.vectors, 'sum'))
    const zero = v128.const(new Int32Array(4))
    for (const row of sums) for (const sum of row) fn.set(sum, zero)
    if (layout === 'columns') emitColumnsLoop(fn, variant, sums, unroll)
    else emitRowsLoop(fn, variant, sums, unroll)
    sums.forEach((row, i) => {
      // The revectoriser pairs neither loads nor stores across one another: all loads of a row come before its stores.
      row.forEach((sum, j) => {
        fn.set(sum, f32x4.add(sum, v128.load(addend, 16 * j)))
      })
      row.forEach((sum, j) => {
        fn.store('v128', c, sum, 16 * j)
      })
      if (i + 1 < sums.length) {
        fn.increment(c, cStep)
        fn.increment(addend, addendStep)
      }
    })
  })
}

type Sums = readonly (readonly Local<'v128'>[])[]

/** One step of k: adds the outer product of a column of A, element i of which `loadA` gives, and the row of B at `b`. */
function emitStep(
  fn: TileBuilder,
  variant: Variant,
  sums: Sums,
  b: Local<'i32'>,
  loadA: (row: number) => Expression<'v128'>,
): void {
  fn.scope(() => {
    const vectors = sums[0]?.length ?? 0
    const right = Array.from({ length: vectors }, (_, j) => fn.local('v128', 'right', v128.load(b, 16 * j)))
    sums.forEach((row, i) => {
      fn.scope(() => {
        const left = fn.local('v128', 'left', loadA(i))
        row.forEach((sum, j) => {
          fn.set(sum, multiplyAdd(variant, left, right[j]!, sum))
        })
      })
    })
  })
}

function emitColumnsLoop(fn: TileBuilder, variant: Variant, sums: Sums, unroll: number): void {
  const { a, aStep, b, bStep, k } = fn.parameters
  const step = () => {
    emitStep(fn, variant, sums, b, (row) => v128.load32Splat(a, 4 * row))
    fn.increment(a, aStep)
    fn.increment(b, bStep)
  }
  emitUnrolled(fn, k, unroll, step)
}

function emitRowsLoop(fn: TileBuilder, variant: Variant, sums: Sums, unroll: number): void {
  const { a, aStep, b, bStep, k } = fn.parameters
  const rows = sums.map((_, i) => fn.local('i32', 'row', i === 0 ? a : undefined))
  for (let i = 1; i < rows.length; i++) fn.set(rows[i]!, i32.add(rows[i - 1]!, aStep))
  const step = (u: number, steps: number) => {
    emitStep(fn, variant, sums, b, (row) => v128.load32Splat(rows[row]!, 4 * u))
    fn.increment(b, bStep)
    if (u === steps - 1) for (const row of rows) fn.increment(row, 4 * steps)
  }
  emitUnrolled(fn, k, unroll, step)
}

/** Runs `step` k times, `unroll` times per round of the loop and the rest in a second loop. */
function emitUnrolled(
  fn: TileBuilder,
  k: Local<'i32'>,
  unroll: number,
  step: (index: number, steps: number) => void,
): void {
  fn.while(i32.geS(k, unroll), () => {
    for (let u = 0; u < unroll; u++) step(u, unroll)
    fn.increment(k, -unroll)
  })
  if (unroll > 1) {
    fn.while(i32.gtS(k, 0), () => {
      step(0, 1)
      fn.increment(k, -1)
    })
  }
}
