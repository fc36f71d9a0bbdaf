import { TesseraError } from '@tessera/core'
import { bSource, encodeDescriptor, method } from './descriptor.ts'
import { type ElementFormat, elementBytes, type OperandFormats } from './elements.ts'
import { aLayoutCode } from './panel.ts'
import { tileScratchBytes } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'
import { tileColumns } from './tuning.ts'

/** How a matrix or a batch of matrices lies in memory, in elements. */
export interface MatrixLayout {
  readonly rowStride: number
  readonly columnStride: number
  /** One stride for each batch dimension; 0 repeats the matrix. None means 0 throughout. */
  readonly batchStrides?: readonly number[]
  /** How the elements of A or B are stored; f32 by default. Narrow floats are widened where they are read. */
  readonly format?: ElementFormat
}

/** A product C[batch…, m, n] = A[batch…, m, k] · B[batch…, k, n] + addend[batch…, m, n]. */
export interface MatmulCall {
  readonly m: number
  readonly n: number
  readonly k: number
  /** Sizes of the batch dimensions, outermost first. */
  readonly batch?: readonly number[]
  readonly a: MatrixLayout
  readonly b: MatrixLayout
  /** Must not overlap A or B, nor visit an element twice. */
  readonly c: MatrixLayout
  /** Layout of a matrix that is added (a bias has row stride 0), or 'c' for C += A · B. */
  readonly addend?: MatrixLayout | 'c'
}

/** What the WASM functions need for one product. */
export interface MatmulPlan {
  /** The words that `descriptor` points to. */
  readonly descriptor: Int32Array
  /** Bytes of scratch for a number of threads; 64-byte aligned memory is fastest. Contents need not be kept or cleared. */
  scratchBytes(threads: number): number
  readonly method: keyof typeof method
  readonly units: MatmulUnits
  /** Units of packing, and bytes of memory that all threads share for packed B; 0 where each unit of work packs for itself. */
  readonly packUnits: number
  readonly packedBytes: number
  /**
   * Not 0: the product is streamed. So many units of depth come first, whose sums take `packedBytes` of memory that all threads share; units of
   * columns add them up.
   */
  readonly depthUnits: number
  /** The batch dimensions that are left, and `followers` along the same dimensions, rows and columns. */
  readonly batch: readonly number[]
  readonly followers: readonly Required<MatrixLayout>[]
  /** Of A and B, exchanged if the plan exchanges them: which functions run it. */
  readonly formats: OperandFormats
}

/** How the work is divided: rectangles of C, in order of batch, rows, columns. */
export interface MatmulUnits {
  readonly count: number
  /** Rows and columns of a unit, and how many units there are along both. */
  readonly rows: number
  readonly columns: number
  readonly rowUnits: number
  readonly columnUnits: number
  /** Rows and columns of C, after operands have been exchanged and batches joined. */
  readonly m: number
  readonly n: number
}

export interface MatmulPlanOptions {
  /** True when other units may run before those of work: of `pack`, on all of B, or of `stream`. */
  readonly packsBefore?: boolean
  /** C is not a matrix but the place of one unit, row-major, its rows `units.columns` apart. */
  readonly isStaged?: boolean
  /** Units have whole rows. */
  readonly wholeRows?: boolean
  /** Matrices of the shape of C that follow the same rearrangements. */
  readonly followers?: readonly MatrixLayout[]
}

type Layouts = Record<string, Required<MatrixLayout>> & Record<'a' | 'b' | 'c' | 'addend', Required<MatrixLayout>>

interface Problem {
  m: number
  n: number
  k: number
  batch: number[]
  layouts: Layouts
}

/** Bytes of the first-level data cache that a part of an operand read in place may take. */
const smallBytes = 16 * 1024
const kcMaximum = 256
const mcMaximum = 120
const ncMaximum = 1024
/** Most bytes of B that are packed before units of work run, and least work, in multiply–adds, for which that pays. */
const mostPackedBytes = 32 * 1024 * 1024
const leastWorkToPack = 1024 * 1024
/** Bytes of C that a unit may have in the thread's scratch. */
const stagedBytes = 256 * 1024

/**
 * Plans a product for a tile tuning: swaps operands if C is column-major, joins batch dimensions, chooses the method, block sizes and
 * how the work is divided into units. The result does not depend on the number of threads, nor do the bits that are computed.
 * @throws TesseraError (`WASM_MATMUL`) if more than three batch dimensions remain after joining, or if a size is not a non-negative integer.
 */
export function planMatmul(call: MatmulCall, tuning: MatmulTuning, options: MatmulPlanOptions = {}): MatmulPlan {
  const { isStaged = false } = options
  const problem = normalise(call, options.followers ?? [])
  joinBatch(problem)
  let swapped = 0
  if (!options.wholeRows && shouldSwap(problem)) {
    swap(problem)
    swapped = 1
  }
  const { m, n, k, batch, layouts } = problem
  if (batch.length > 3) {
    throw new TesseraError(
      'WASM_MATMUL',
      `matmul: at most 3 batch dimensions that do not join are supported, got [${batch.join(', ')}]; call it in a loop`,
    )
  }
  const chosen = chooseMethod(problem)
  const width = tileColumns(tuning)
  const kc = blockSize(k, kcMaximum, 4)
  const aLayout = chooseALayout(problem, kc)
  const packedStep = 4 * roundUp(n, width)
  const source = chosen === 'tiles' ? chooseBSource(problem, tuning, kc, packedStep, options) : bSource.inPlace
  const depthUnits = chosen === 'axpy' ? unitsOfDepth(problem, options) : 0
  const units = divide(problem, depthUnits > 0 ? 'stream' : chosen, source, tuning, options)
  const mc = blockSize(Math.min(m, units.rows), Math.floor(mcMaximum / tuning.rows) * tuning.rows, tuning.rows)
  const nc = blockSize(Math.min(n, units.columns), options.wholeRows ? n : ncMaximum, width)
  if (isStaged) {
    layouts.c = { ...layouts.c, rowStride: units.columns, columnStride: 1, batchStrides: batch.map(() => 0) }
  }

  const head = tileScratchBytes(tuning)
  const aScratch = align(head.zeros + head.tile)
  const widened = layouts.a.format === 'f32' ? 0 : m * k
  const packed = aLayout === aLayoutCode.packed ? Math.min(mc, roundUp(m, tuning.rows)) * kc : 0
  const bScratch = align(aScratch + 4 * (chosen === 'tiles' ? packed : widened))
  const bColumns = source === bSource.unit ? Math.min(nc, roundUp(n, width)) : source === bSource.inPlace ? width : 0
  const scratchStep = align(bScratch + (chosen === 'tiles' ? 4 * bColumns * kc : 0))
  const packColumns = roundUp(Math.ceil(n / 16), width)

  const stride = (name: keyof Layouts, dimension: number) =>
    layouts[name]!.batchStrides[batch.length - 3 + dimension] ?? 0
  const descriptor = encodeDescriptor({
    m,
    n,
    k,
    aRowStride: layouts.a.rowStride,
    aColumnStride: layouts.a.columnStride,
    bRowStride: layouts.b.rowStride,
    bColumnStride: layouts.b.columnStride,
    cRowStride: layouts.c.rowStride,
    cColumnStride: layouts.c.columnStride,
    batch0: batch.at(-3) ?? 1,
    batch1: batch.at(-2) ?? 1,
    batch2: batch.at(-1) ?? 1,
    aBatchStride0: stride('a', 0),
    aBatchStride1: stride('a', 1),
    aBatchStride2: stride('a', 2),
    bBatchStride0: stride('b', 0),
    bBatchStride1: stride('b', 1),
    bBatchStride2: stride('b', 2),
    cBatchStride0: stride('c', 0),
    cBatchStride1: stride('c', 1),
    cBatchStride2: stride('c', 2),
    addendRowStride: layouts.addend.rowStride,
    addendColumnStride: layouts.addend.columnStride,
    addendBatchStride0: stride('addend', 0),
    addendBatchStride1: stride('addend', 1),
    addendBatchStride2: stride('addend', 2),
    swapped,
    addendKind: call.addend === undefined ? 0 : call.addend === 'c' ? 2 : 1,
    method: method[chosen],
    aLayout,
    bSource: source,
    packedStep,
    packColumns,
    mc,
    kc,
    nc,
    unitRows: units.rows,
    unitColumns: units.columns,
    rowUnits: units.rowUnits,
    columnUnits: units.columnUnits,
    unitDepth: depthUnits === 0 ? 0 : Math.ceil(k / depthUnits),
    depthUnits,
    isStaged: isStaged ? 1 : 0,
    scratchStep,
    aScratch,
    bScratch,
  })
  const isShared = source === bSource.shared
  return {
    descriptor,
    scratchBytes: (threads) => threads * scratchStep,
    method: chosen,
    units,
    packUnits: isShared ? Math.ceil(n / packColumns) : 0,
    packedBytes: isShared ? packedStep * k : 4 * depthUnits * m * n,
    depthUnits,
    batch,
    formats: { a: layouts.a.format, b: layouts.b.format },
    followers: (options.followers ?? []).map((_, i) => layouts[followerName(i)]!),
  }
}

const followerName = (index: number): string => `follower ${index}`

function chooseBSource(
  problem: Problem,
  tuning: MatmulTuning,
  kc: number,
  packedStep: number,
  { packsBefore = false }: MatmulPlanOptions,
): number {
  const { m, n, k, batch } = problem
  if (canReadB(problem, tuning, kc)) return bSource.inPlace
  const pays = batch.length === 0 && m >= 4 * tuning.rows && m * n * k >= leastWorkToPack
  return packsBefore && pays && packedStep * k <= mostPackedBytes ? bSource.shared : bSource.unit
}

/** Bytes of B from which on it is read from memory, and by how many rows of it, for each row of A, a unit of depth pays. */
const leastStreamedBytes = 512 * 1024
const leastUnitDepth = 64

/** How many units a streamed product has along its depth: eight, or fewer where their sums would be many beside B; 0 where it does not pay. */
function unitsOfDepth({ m, n, k, batch, layouts: { b } }: Problem, { packsBefore = false }: MatmulPlanOptions): number {
  if (!packsBefore || batch.length > 0 || k * n * elementBytes(b.format) < leastStreamedBytes) return 0
  const units = Math.min(8, Math.floor(k / (leastUnitDepth * m)))
  // Units have the same depth, so the last ones may be none.
  return units < 2 ? 0 : Math.ceil(k / Math.ceil(k / units))
}

/**
 * Divides C into rectangles. They are small enough for a dozen or two of them, so that threads come out even, and large enough to read B,
 * or to pack A and B, not much more often than once.
 */
function divide(
  { m, n, batch, layouts }: Problem,
  chosen: keyof typeof method | 'stream',
  source: number,
  tuning: MatmulTuning,
  { isStaged = false, wholeRows = false }: MatmulPlanOptions,
): MatmulUnits {
  const width = tileColumns(tuning)
  const batches = batch.reduce((product, extent) => product * extent, 1)
  const share = (extent: number, multiple: number, least: number, most: number, parts: number) =>
    Math.min(most, Math.max(least, roundUp(Math.ceil(extent / parts), multiple)))
  let rows = m
  let columns = n
  // Pieces of rows of B must be long enough to be read from memory at its speed.
  const perFloat = 4 / elementBytes(layouts.b.format)
  if (chosen === 'stream') columns = share(n, width, 256, n, 8)
  else if (chosen === 'axpy') columns = share(n, width, 384 * perFloat, 1024 * perFloat, 6)
  else if (chosen === 'dot') columns = share(n, width, width, 1024, 8)
  else if (source === bSource.shared) {
    rows = share(m, tuning.rows, 4 * tuning.rows, 8 * tuning.rows, 24)
    columns = ncMaximum
  } else if (source === bSource.inPlace && m > 2 * tuning.rows)
    rows = share(m, tuning.rows, 4 * tuning.rows, 20 * tuning.rows, 16)
  else columns = share(n, width, 64, ncMaximum, Math.ceil(8 / batches))
  if (wholeRows) columns = n
  columns = Math.min(columns, roundUp(n, width))
  if (isStaged) rows = Math.min(rows, Math.max(tuning.rows, roundDown(stagedBytes / (4 * columns), tuning.rows)))
  const isEmpty = m === 0 || n === 0
  const rowUnits = isEmpty ? 0 : Math.ceil(m / rows)
  const columnUnits = isEmpty ? 0 : Math.ceil(n / columns)
  return { count: batches * rowUnits * columnUnits, rows, columns, rowUnits, columnUnits, m, n }
}

function normalise(call: MatmulCall, followers: readonly MatrixLayout[]): Problem {
  const batch = [...(call.batch ?? [])]
  const sizes = [call.m, call.n, call.k, ...batch]
  if (!sizes.every((size) => Number.isInteger(size) && size >= 0)) {
    throw new TesseraError(
      'WASM_MATMUL',
      `matmul: m, n, k and batch sizes must be non-negative integers, got [${sizes.join(', ')}]`,
    )
  }
  const complete = (layout: MatrixLayout, name: string): Required<MatrixLayout> => {
    const batchStrides = layout.batchStrides ?? batch.map(() => 0)
    if (batchStrides.length !== batch.length) {
      throw new TesseraError(
        'WASM_MATMUL',
        `matmul: ${name} has ${batchStrides.length} batch strides for ${batch.length} batch dimensions`,
      )
    }
    const { rowStride, columnStride, format = 'f32' } = layout
    return { rowStride, columnStride, batchStrides, format }
  }
  const addend = call.addend === 'c' ? call.c : (call.addend ?? { rowStride: 0, columnStride: 0 })
  const layouts: Layouts = {
    a: complete(call.a, 'a'),
    b: complete(call.b, 'b'),
    c: complete(call.c, 'c'),
    addend: complete(addend, 'addend'),
  }
  followers.forEach((follower, i) => {
    layouts[followerName(i)] = complete(follower, followerName(i))
  })
  return { m: call.m, n: call.n, k: call.k, batch, layouts }
}

/** Drops batch dimensions of size 1, joins neighbours that are one dimension in memory, and makes rows (or columns) of a batch that shares B (or A). */
function joinBatch(problem: Problem): void {
  const { layouts } = problem
  const names = Object.keys(layouts)
  const followers = names.filter((name) => name !== 'a' && name !== 'b')
  const set = (name: string, batchStrides: number[]) => {
    layouts[name] = { ...layouts[name]!, batchStrides }
  }
  const remove = (dimension: number) => {
    problem.batch.splice(dimension, 1)
    for (const name of names) set(name, layouts[name]!.batchStrides.toSpliced(dimension, 1))
  }
  for (let d = problem.batch.length - 1; d >= 0; d--) if (problem.batch[d] === 1) remove(d)
  for (let d = problem.batch.length - 2; d >= 0; d--) {
    const inner = problem.batch[d + 1]!
    const joins = names.every((name) => layouts[name]!.batchStrides[d] === inner * layouts[name]!.batchStrides[d + 1]!)
    if (joins) {
      problem.batch[d + 1] = inner * problem.batch[d]!
      remove(d)
    }
  }
  const last = problem.batch.length - 1
  if (last < 0) return
  const stride = (name: string) => layouts[name]!.batchStrides[last]!
  const extend = (size: 'm' | 'n', along: 'rowStride' | 'columnStride', moved: readonly string[]): boolean => {
    const count = problem[size]
    if (count === 1) for (const name of moved) layouts[name] = { ...layouts[name]!, [along]: stride(name) }
    else if (!moved.every((name) => stride(name) === count * layouts[name]![along])) return false
    problem[size] = count * problem.batch[last]!
    remove(last)
    return true
  }
  if (stride('b') === 0 && extend('m', 'rowStride', ['a', ...followers])) return
  if (stride('a') === 0) extend('n', 'columnStride', ['b', ...followers])
}

/** True if Cᵀ = Bᵀ · Aᵀ suits the kernels better: columns of C are adjacent then, or C is one row. */
function shouldSwap({ m, n, layouts: { c } }: Problem): boolean {
  if (n === 1 && m > 1) return true
  if (m === 1 && n > 1) return false
  return c.columnStride !== 1 && c.rowStride === 1
}

function swap(problem: Problem): void {
  const flip = (layout: Required<MatrixLayout>): Required<MatrixLayout> => ({
    ...layout,
    rowStride: layout.columnStride,
    columnStride: layout.rowStride,
  })
  const { m, n, layouts } = problem
  problem.m = n
  problem.n = m
  const flipped = Object.fromEntries(Object.entries(layouts).map(([name, layout]) => [name, flip(layout)]))
  problem.layouts = { ...flipped, a: flip(layouts.b), b: flip(layouts.a) } as Layouts
}

function chooseMethod({ m, n, k, layouts: { a, b, c } }: Problem): keyof typeof method {
  if (k === 0) return 'tiles'
  if (m <= 4 && b.columnStride === 1 && n >= 8 && c.columnStride === 1) return 'axpy'
  // Narrow rows of A are widened to rows that are contiguous.
  const isContiguous = a.columnStride === 1 || a.format !== 'f32'
  if (m <= 8 && b.rowStride === 1 && k >= 8 && isContiguous) return 'dot'
  return 'tiles'
}

/** Packing A pays if its panels are read often, that is for many columns. */
function chooseALayout({ m, n, layouts: { a } }: Problem, kc: number): number {
  if (a.format !== 'f32') return aLayoutCode.packed
  if (a.columnStride === 1 && n <= 128) return aLayoutCode.rows
  if (a.rowStride === 1 && (4 * kc * a.columnStride <= smallBytes || m <= 8)) return aLayoutCode.columns
  return aLayoutCode.packed
}

/** B is read in place if its rows are contiguous and either few rows of A use it or it is small. */
function canReadB({ m, layouts: { b } }: Problem, tuning: MatmulTuning, kc: number): boolean {
  // To tiles a step of 0 between rows says that B is packed, so one row that is repeated has to be.
  if (b.columnStride !== 1 || b.rowStride === 0 || b.format !== 'f32') return false
  return m <= 2 * tuning.rows || 4 * kc * b.rowStride <= smallBytes
}

/** Splits `size` into equal blocks of at most `maximum`, a multiple of `multiple`. */
function blockSize(size: number, maximum: number, multiple: number): number {
  const blocks = Math.max(1, Math.ceil(size / maximum))
  return Math.max(multiple, roundUp(Math.ceil(size / blocks), multiple))
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

function roundDown(value: number, multiple: number): number {
  return Math.floor(value / multiple) * multiple
}

function align(bytes: number): number {
  return roundUp(bytes, 64)
}
