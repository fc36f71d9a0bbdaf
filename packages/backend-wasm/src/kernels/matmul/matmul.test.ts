import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { supportsRelaxedSimd, usesRelaxedSimd, variants } from '../../variant.ts'
import type { MatmulInstance } from './harness.ts'
import { instantiateMatmul, reserved } from './harness.ts'
import type { MatmulCall, MatrixLayout } from './plan.ts'
import { planMatmul } from './plan.ts'
import { matmulTuning, tileColumns } from './tuning.ts'

/** Where an operand of a test lies: its first float and its layout. */
interface Placed {
  readonly start: number
  readonly floats: number
  readonly layout: Required<MatrixLayout>
}

type Order = 'rows' | 'columns' | 'strided'
interface Sizes {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly batch: readonly number[]
}
interface Form {
  readonly a: Order
  readonly b: Order
  readonly c: Order
  /** Unused floats between rows (or columns). */
  readonly gap: number
  /** Batch dimensions along which A or B repeat. */
  readonly shareA: readonly boolean[]
  readonly shareB: readonly boolean[]
  readonly addend: 'none' | 'matrix' | 'bias' | 'c'
}

const plainForm: Form = { a: 'rows', b: 'rows', c: 'rows', gap: 0, shareA: [], shareB: [], addend: 'none' }

function placeMatrix(
  start: number,
  rows: number,
  columns: number,
  order: Order,
  gap: number,
  batch: readonly number[],
  share: readonly boolean[],
): Placed {
  const [rowStride, columnStride] =
    order === 'rows' ? [columns + gap, 1] : order === 'columns' ? [1, rows + gap] : [2 * columns + 1 + gap, 2]
  let floats = Math.max(
    1,
    rows * rowStride,
    columns * columnStride,
    (rows - 1) * rowStride + (columns - 1) * columnStride + 1,
  )
  const batchStrides = [...batch]
  for (let d = batch.length - 1; d >= 0; d--) {
    batchStrides[d] = share[d] ? 0 : floats
    if (!share[d]) floats *= batch[d]!
  }
  return { start, floats, layout: { rowStride, columnStride, batchStrides, format: 'f32' } }
}

const offset = (layout: Required<MatrixLayout>, index: readonly number[], row: number, column: number) =>
  layout.batchStrides.reduce(
    (sum, stride, d) => sum + stride * index[d]!,
    row * layout.rowStride + column * layout.columnStride,
  )

/** A number in [-1, 1) that looks random for each index (the finaliser of MurmurHash3). */
function noise(index: number): number {
  let bits = Math.imul(index ^ (index >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) / 2 ** 31
}

/** Runs a product with 1, 2 and 3 threads and compares with float64 loops; every float outside C must stay as it was. */
function check(instance: MatmulInstance, sizes: Sizes, form: Form = plainForm): void {
  const { m, n, k, batch } = sizes
  const { floats } = instance
  let at = reserved / 4
  const place = (...given: [number, number, Order, readonly boolean[]]) => {
    const placed = placeMatrix(at, given[0], given[1], given[2], form.gap, batch, given[3])
    at += placed.floats
    return placed
  }
  const a = place(m, k, form.a, form.shareA)
  const b = place(k, n, form.b, form.shareB)
  const d = place(m, n, 'rows', form.shareA)
  const bias = { ...d.layout, rowStride: 0 }
  const addendLayout = form.addend === 'bias' ? bias : d.layout
  const c = place(m, n, form.c, [])
  for (let i = reserved / 4; i < at; i++) floats[i] = noise(i)
  const before = floats.slice(c.start, at)
  const call: MatmulCall = {
    ...sizes,
    a: a.layout,
    b: b.layout,
    c: c.layout,
    ...(form.addend === 'none' ? {} : { addend: form.addend === 'c' ? 'c' : addendLayout }),
  }
  const plan = instance.plan(call)
  instance.load(plan)
  const scratch = Math.ceil(at / 16) * 64
  const results = [1, 2, 3].map((threads) => {
    floats.set(before, c.start)
    floats.fill(Number.NaN, scratch / 4, (scratch + plan.scratchBytes(threads)) / 4)
    for (let thread = 0; thread < threads; thread++) {
      instance.run({ a: 4 * a.start, b: 4 * b.start, c: 4 * c.start, scratch, addend: 4 * d.start }, thread, threads)
    }
    return floats.slice(c.start, at)
  })
  const expected = Float64Array.from(before)
  const index = batch.map(() => 0)
  for (let batchIndex = 0; batchIndex < batch.reduce((product, size) => product * size, 1); batchIndex++) {
    let rest = batchIndex
    for (let dimension = batch.length - 1; dimension >= 0; dimension--) {
      index[dimension] = rest % batch[dimension]!
      rest = Math.floor(rest / batch[dimension]!)
    }
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0
        for (let p = 0; p < k; p++) {
          sum +=
            floats[a.start + offset(a.layout, index, row, p)]! * floats[b.start + offset(b.layout, index, p, column)]!
        }
        const target = offset(c.layout, index, row, column)
        if (form.addend === 'c') sum += before[target]!
        else if (form.addend !== 'none') sum += floats[d.start + offset(addendLayout, index, row, column)]!
        expected[target] = sum
      }
    }
  }
  const tolerance = 1e-6 * (Math.sqrt(k) + 1)
  const [result] = results
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(result![i]! - expected[i]!) <= tolerance)) {
      throw new Error(`C[${i}] = ${result![i]}, expected ${expected[i]}, method ${plan.method}`)
    }
    for (const other of results)
      if (!Object.is(other[i], result![i])) throw new Error(`C[${i}] depends on the number of threads`)
  }
}

const orders = fc.constantFrom<Order>('rows', 'columns', 'strided')
const forms = (dimensions: number): fc.Arbitrary<Form> =>
  fc.record({
    a: orders,
    b: orders,
    c: orders,
    gap: fc.integer({ min: 0, max: 3 }),
    shareA: fc.array(fc.boolean(), { minLength: dimensions, maxLength: dimensions }),
    shareB: fc.array(fc.boolean(), { minLength: dimensions, maxLength: dimensions }),
    addend: fc.constantFrom('none', 'matrix', 'bias', 'c'),
  })
const batches = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 })

for (const variant of variants) {
  describe.skipIf(usesRelaxedSimd(variant) && !supportsRelaxedSimd())(`matrix product, ${variant}`, () => {
    const instance = instantiateMatmul(variant, 16 * 1024 * 1024)
    const { tuning } = instance

    it('agrees with float64 loops for random shapes, strides, batches and addends', () => {
      const size = fc.integer({ min: 1, max: 70 })
      const calls = batches.chain((batch) =>
        fc.record({ m: size, n: size, k: size, batch: fc.constant(batch), form: forms(batch.length) }),
      )
      fc.assert(
        fc.property(calls, ({ form, ...sizes }) => check(instance, sizes, form)),
        { numRuns: 150 },
      )
    })

    it('handles every tile edge', () => {
      const width = tileColumns(tuning)
      const edges = (tile: number) => [1, tile - 1, tile, tile + 1, 2 * tile + 1]
      for (const m of [...edges(tuning.rows), 3]) {
        for (const n of [...edges(width), 3, width / 2, width / 2 + 1]) {
          for (const order of ['rows', 'columns'] as const) {
            check(instance, { m, n, k: 5, batch: [] }, { ...plainForm, b: order })
          }
        }
      }
    })

    it('handles more depth, rows and columns than a block holds', () => {
      for (const a of ['rows', 'columns'] as const) {
        for (const b of ['rows', 'columns'] as const) {
          check(instance, { m: 33, n: 50, k: 515, batch: [] }, { ...plainForm, a, b, addend: 'c' })
          check(instance, { m: 131, n: 40, k: 9, batch: [] }, { ...plainForm, a, b })
          check(instance, { m: 13, n: 1041, k: 300, batch: [] }, { ...plainForm, a, b, addend: 'bias' })
        }
      }
    })

    it('handles few rows and few columns', () => {
      for (const [m, n] of [
        [1, 1],
        [1, 7],
        [1, 2100],
        [2, 33],
        [3, 65],
        [4, 130],
        [5, 64],
        [70, 1],
        [64, 2],
      ] as const) {
        for (const k of [1, 7, 8, 64, 301]) {
          for (const b of ['rows', 'columns'] as const)
            check(instance, { m, n, k, batch: [2] }, { ...plainForm, b, addend: 'matrix' })
        }
      }
    })

    it('gives the addend, or zeros, for depth 0', () => {
      check(instance, { m: 7, n: 19, k: 0, batch: [2] })
      check(instance, { m: 1, n: 19, k: 0, batch: [] }, { ...plainForm, addend: 'matrix' })
      check(instance, { m: 7, n: 1, k: 0, batch: [] }, { ...plainForm, addend: 'c' })
    })

    it('does nothing for empty results', () => {
      check(instance, { m: 0, n: 5, k: 3, batch: [] })
      check(instance, { m: 5, n: 0, k: 3, batch: [] })
      check(instance, { m: 5, n: 4, k: 3, batch: [2, 0] })
    })

    it('keeps NaN and infinities in the rows and columns where they stand', () => {
      const [m, n, k] = [7, 37, 9]
      const layout = (columns: number) => ({ rowStride: columns, columnStride: 1 })
      const plan = instance.plan({ m, n, k, a: layout(k), b: layout(n), c: layout(n) })
      instance.load(plan)
      const [a, b, c] = [reserved / 4, reserved / 4 + m * k, reserved / 4 + m * k + k * n]
      instance.floats.fill(1, a, c)
      instance.floats[a + 2 * k + 3] = Number.NaN
      instance.floats[b + 4 * n + 36] = Number.POSITIVE_INFINITY
      instance.run({ a: 4 * a, b: 4 * b, c: 4 * c, scratch: Math.ceil((c + m * n) / 16) * 64 }, 0, 1)
      for (let i = 0; i < m * n; i++) {
        const [row, column] = [Math.floor(i / n), i % n]
        expect(instance.floats[c + i]).toBe(row === 2 ? Number.NaN : column === 36 ? Number.POSITIVE_INFINITY : k)
      }
    })
  })
}

describe('planMatmul', () => {
  const tuning = matmulTuning('relaxed', false)
  const rowMajor = (columns: number, ...batchStrides: number[]): MatrixLayout => ({
    rowStride: columns,
    columnStride: 1,
    batchStrides,
  })

  it('makes rows of a batch that shares B', () => {
    const sizes = { m: 8, n: 16, k: 4 }
    const plan = planMatmul(
      { ...sizes, batch: [3, 5], a: rowMajor(4, 160, 32), b: rowMajor(16, 0, 0), c: rowMajor(16, 640, 128) },
      tuning,
    )
    expect([...plan.descriptor.subarray(0, 3)]).toEqual([120, 16, 4])
  })

  it('refuses more than three separate batch dimensions and sizes that are no sizes', () => {
    const sizes = { m: 8, n: 16, k: 4 }
    const strides = [10000, 3000, 1000, 300]
    const call = {
      ...sizes,
      batch: [2, 2, 2, 2],
      a: rowMajor(4, ...strides),
      b: rowMajor(16, ...strides),
      c: rowMajor(16, ...strides),
    }
    expect(() => planMatmul(call, tuning)).toThrow(/at most 3 batch dimensions.*\[2, 2, 2, 2\]/)
    expect(() => planMatmul({ ...call, m: 1.5 }, tuning)).toThrow(/non-negative integers, got \[1\.5,/)
    expect(() => planMatmul({ ...call, batch: [2] }, tuning)).toThrow(/a has 4 batch strides for 1/)
  })
})
