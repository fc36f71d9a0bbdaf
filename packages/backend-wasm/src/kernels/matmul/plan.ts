import { TesseraError } from '@tessera/core'
import { encodeDescriptor, method } from './descriptor.ts'
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
}

const operandNames = ['a', 'b', 'c', 'addend'] as const
type OperandName = (typeof operandNames)[number]
type Layouts = Record<OperandName, Required<MatrixLayout>>

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

/**
 * Plans a product for a tile tuning: swaps operands if C is column-major, joins batch dimensions, chooses the method, block sizes and
 * how threads share the work. The result does not depend on the number of threads, nor do the bits that are computed.
 * @throws TesseraError (`WASM_MATMUL`) if more than three batch dimensions remain after joining, or if a size is not a non-negative integer.
 */
export function planMatmul(call: MatmulCall, tuning: MatmulTuning): MatmulPlan {
  const problem = normalise(call)
  joinBatch(problem)
  let swapped = 0
  if (shouldSwap(problem)) {
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
  const mc = blockSize(m, Math.floor(mcMaximum / tuning.rows) * tuning.rows, tuning.rows)
  const nc = blockSize(n, ncMaximum, width)
  const aLayout = chooseALayout(problem, kc)
  const bInPlace = canReadB(problem, tuning, kc) ? 1 : 0

  const splitColumns = chosen !== 'tiles' || n >= m ? 1 : 0
  const unit = splitColumns ? Math.max(width, chosen === 'tiles' ? 0 : 64) : tuning.rows
  const units = m === 0 || n === 0 ? 0 : Math.ceil((splitColumns ? n : m) / unit)

  const head = tileScratchBytes(tuning)
  const aScratch = align(head.zeros + head.tile)
  const bScratch = align(
    aScratch +
      (chosen === 'tiles' && aLayout === aLayoutCode.packed ? 4 * Math.min(mc, roundUp(m, tuning.rows)) * kc : 0),
  )
  const bColumns = bInPlace ? width : Math.min(nc, roundUp(n, width))
  const scratchStep = align(bScratch + (chosen === 'tiles' ? 4 * bColumns * kc : 0))

  const stride = (name: OperandName, dimension: number) => layouts[name].batchStrides[batch.length - 3 + dimension] ?? 0
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
    bInPlace,
    mc,
    kc,
    nc,
    splitColumns,
    unit,
    units,
    scratchStep,
    aScratch,
    bScratch,
  })
  return { descriptor, scratchBytes: (threads) => threads * scratchStep, method: chosen }
}

function normalise(call: MatmulCall): Problem {
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
    return { rowStride: layout.rowStride, columnStride: layout.columnStride, batchStrides }
  }
  const addend = call.addend === 'c' ? call.c : (call.addend ?? { rowStride: 0, columnStride: 0 })
  const layouts = {
    a: complete(call.a, 'a'),
    b: complete(call.b, 'b'),
    c: complete(call.c, 'c'),
    addend: complete(addend, 'addend'),
  }
  return { m: call.m, n: call.n, k: call.k, batch, layouts }
}

/** Drops batch dimensions of size 1, joins neighbours that are one dimension in memory, and makes rows (or columns) of a batch that shares B (or A). */
function joinBatch(problem: Problem): void {
  const { layouts } = problem
  const set = (name: OperandName, batchStrides: number[]) => {
    layouts[name] = { ...layouts[name], batchStrides }
  }
  const remove = (dimension: number) => {
    problem.batch.splice(dimension, 1)
    for (const name of operandNames) set(name, layouts[name].batchStrides.toSpliced(dimension, 1))
  }
  for (let d = problem.batch.length - 1; d >= 0; d--) if (problem.batch[d] === 1) remove(d)
  for (let d = problem.batch.length - 2; d >= 0; d--) {
    const inner = problem.batch[d + 1]!
    const joins = operandNames.every(
      (name) => layouts[name].batchStrides[d] === inner * layouts[name].batchStrides[d + 1]!,
    )
    if (joins) {
      problem.batch[d + 1] = inner * problem.batch[d]!
      remove(d)
    }
  }
  const last = problem.batch.length - 1
  if (last < 0) return
  const stride = (name: OperandName) => layouts[name].batchStrides[last]!
  const extend = (size: 'm' | 'n', along: 'rowStride' | 'columnStride', names: readonly OperandName[]): boolean => {
    const count = problem[size]
    if (count === 1) for (const name of names) layouts[name] = { ...layouts[name], [along]: stride(name) }
    else if (!names.every((name) => stride(name) === count * layouts[name][along])) return false
    problem[size] = count * problem.batch[last]!
    remove(last)
    return true
  }
  if (stride('b') === 0 && extend('m', 'rowStride', ['a', 'c', 'addend'])) return
  if (stride('a') === 0) extend('n', 'columnStride', ['b', 'c', 'addend'])
}

/** True if Cᵀ = Bᵀ · Aᵀ suits the kernels better: columns of C are adjacent then, or C is one row. */
function shouldSwap({ m, n, layouts: { c } }: Problem): boolean {
  if (n === 1 && m > 1) return true
  if (m === 1 && n > 1) return false
  return c.columnStride !== 1 && c.rowStride === 1
}

function swap(problem: Problem): void {
  const flip = (layout: Required<MatrixLayout>): Required<MatrixLayout> => ({
    rowStride: layout.columnStride,
    columnStride: layout.rowStride,
    batchStrides: layout.batchStrides,
  })
  const { m, n, layouts } = problem
  problem.m = n
  problem.n = m
  problem.layouts = { a: flip(layouts.b), b: flip(layouts.a), c: flip(layouts.c), addend: flip(layouts.addend) }
}

function chooseMethod({ m, n, k, layouts: { a, b, c } }: Problem): keyof typeof method {
  if (k === 0) return 'tiles'
  if (m <= 4 && b.columnStride === 1 && n >= 8 && c.columnStride === 1) return 'axpy'
  if (m <= 8 && b.rowStride === 1 && k >= 8 && a.columnStride === 1) return 'dot'
  return 'tiles'
}

/** Packing A pays if its panels are read often, that is for many columns. */
function chooseALayout({ m, n, layouts: { a } }: Problem, kc: number): number {
  if (a.columnStride === 1 && n <= 128) return aLayoutCode.rows
  if (a.rowStride === 1 && (4 * kc * a.columnStride <= smallBytes || m <= 8)) return aLayoutCode.columns
  return aLayoutCode.packed
}

/** B is read in place if its rows are contiguous and either few rows of A use it or it is small. */
function canReadB({ m, layouts: { b } }: Problem, tuning: MatmulTuning, kc: number): boolean {
  if (b.columnStride !== 1) return false
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

function align(bytes: number): number {
  return roundUp(bytes, 64)
}
